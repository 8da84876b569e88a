"""Variants of a model: where they come from, how they are built, and the processes that run them.

Nothing here knows why a variant was chosen; nothing here imports ``policies`` or ``gateway``.
"""
