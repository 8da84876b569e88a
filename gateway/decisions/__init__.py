"""The decision log: what was decided with which probabilities, what came of it, and how it was judged."""
