"""Who goes next when more is asked for than can be answered at once."""
