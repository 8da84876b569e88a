"""The process that holds answers against checks: `python -m gateway.learning.scoring`, JSON lines in and out.

Python's `re` cannot be interrupted and holds the interpreter lock, and a schema may branch without end. Here the
kernel ends the process once a check has used up its processor time; its parent sees that and starts another one.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys

import msgspec

from policies.checks import Check, score

__all__ = ("Score", "Task", "main")

CPU_S = 0.5
"""Processor seconds of one check; ordinary ones take microseconds."""

MEMORY_BYTES = 1 << 30
NICENESS = 10
"""Judging an answer never competes with giving one."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """An answer and what to hold it against."""

    check: Check
    text: str


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    score: float | None
    """In [0, 1]; None where the check cannot be carried out."""


def main() -> None:
    """Work off tasks until standard input ends."""
    os.nice(NICENESS)
    with contextlib.suppress(ValueError, OSError):  # Not every system knows this limit.
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    decoder, encoder = msgspec.json.Decoder(Task), msgspec.json.Encoder()
    for line in sys.stdin.buffer:
        task = decoder.decode(line)
        signal.setitimer(signal.ITIMER_PROF, CPU_S)  # SIGPROF is left as it is: it ends the process.
        try:
            found = score(task.check, task.text)
        except (ValueError, MemoryError, RecursionError):
            found = None
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        sys.stdout.buffer.write(encoder.encode(Score(score=found)) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
