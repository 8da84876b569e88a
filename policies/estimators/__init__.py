"""Predictions of what a candidate will do with a request."""
