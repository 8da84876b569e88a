"""What a decision may read of a prompt: hashed n-grams, named surface features and groups. No fitted state."""
