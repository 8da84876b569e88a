"""The composer: HTTP API, routing, decision log, configuration and command line."""
