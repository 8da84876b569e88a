"""What is told of requests: spans, the traces that are kept, and a line in the log."""
