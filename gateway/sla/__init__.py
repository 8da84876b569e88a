"""Promises at work: what they ask of a decision now, and whether they were kept."""
