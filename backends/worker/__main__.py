"""`python -m backends.worker`: one worker, told what to serve by a line of JSON on standard input."""

from __future__ import annotations

import os
import sys

import msgspec

from backends.lifeline import follow_parent
from backends.worker.logs import configure_logs
from backends.worker.server import serve
from backends.worker.spec import WorkerSpec

__all__ = ("main",)


def main() -> int:
    """Serve until told to stop; returns the exit status."""
    configure_logs()
    spec = msgspec.json.decode(_first_line(), type=WorkerSpec)
    follow_parent()
    return serve(spec)


def _first_line() -> bytes:
    """Read byte by byte, so that nothing after the line is taken from the lifeline."""
    line = bytearray()
    while (byte := os.read(sys.stdin.fileno(), 1)) not in (b"", b"\n"):
        line += byte
    return bytes(line)


if __name__ == "__main__":
    sys.exit(main())
