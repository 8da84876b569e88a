"""Answers given again: for the same request, and for one that means the same."""
