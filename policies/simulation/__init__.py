"""Replaying tables of known outcomes against policies and baselines. Never imported while serving."""
