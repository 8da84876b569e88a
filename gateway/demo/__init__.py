"""Recorded answers of three real models, served as upstreams: `trilemma demo` needs no model, account or network."""
