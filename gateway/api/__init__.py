"""The HTTP surface. Wire types stop here: everything behind it receives a `ValidRequest`."""
