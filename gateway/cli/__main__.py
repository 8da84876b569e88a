"""`python -m gateway.cli`: the `trilemma` command without its script."""

from __future__ import annotations

from gateway.cli import main

main(prog_name="trilemma")
