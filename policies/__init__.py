"""The decision science: pure functions over frozen values. Clock, randomness and I/O are arguments."""
