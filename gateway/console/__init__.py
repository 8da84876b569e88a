"""The pages at `/console`."""
