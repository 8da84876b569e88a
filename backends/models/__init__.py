"""Where a variant's files come from and where they are kept."""
