"""The process that compiles and applies checks: `python -m gateway.learning.scoring`, JSON lines in and out.

Compiling a pattern or a schema holds the interpreter lock, and a schema may branch without end. Here the kernel ends
the process once a check has used up its processor time; its parent sees that and starts another one.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys

import msgspec

from policies.checks import Check, CheckError, score, verify

__all__ = ("Fault", "Reply", "Task", "main", "reply")

CPU_S = 0.5
"""Processor seconds of one check; ordinary ones take microseconds."""

MEMORY_BYTES = 1 << 30
NICENESS = 10
"""Judging an answer never competes with giving one."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A check, and the answer to score by it."""

    check: Check
    text: str | None = None
    """None: only verify the check."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why a check cannot be used."""

    field: str
    """The part of the check to blame."""
    message: str


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The result of a task."""

    score: float | None = None
    """In [0, 1]; None where nothing was scored."""
    fault: Fault | None = None
    """None where the check can be used."""


def reply(task: Task) -> Reply:
    """Verify the check of a task, or score its answer."""
    try:
        if task.text is not None:
            return Reply(score=score(task.check, task.text))
        verify(task.check)
    except CheckError as error:
        return Reply(fault=Fault(field=error.field, message=str(error)))
    except (ValueError, MemoryError, RecursionError) as error:
        return Reply(fault=Fault(field="", message=str(error)))
    return Reply()


def main() -> None:
    """Work off tasks until standard input ends."""
    os.nice(NICENESS)
    with contextlib.suppress(ValueError, OSError):  # Not every system knows this limit.
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    decoder, encoder = msgspec.json.Decoder(Task), msgspec.json.Encoder()
    for line in sys.stdin.buffer:
        task = decoder.decode(line)
        signal.setitimer(signal.ITIMER_PROF, CPU_S)  # SIGPROF is left as it is: it ends the process.
        found = reply(task)
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        sys.stdout.buffer.write(encoder.encode(found) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
