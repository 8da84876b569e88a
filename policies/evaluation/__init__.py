"""What a policy would have earned, told from a log that another one wrote; and the metrics of routing."""
