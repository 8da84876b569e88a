"""Learning from the log: quality signals, calibration, training, and the estimators in force."""
