"""What tenants were promised: the promise itself, whether it was kept, and what keeping it asks of a decision."""
