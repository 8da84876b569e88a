"""How methods are compared: each protocol is a question with one right way to ask it."""
