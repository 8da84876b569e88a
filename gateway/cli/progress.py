"""Progress for a person: bars on a terminal, plain lines elsewhere, JSON lines for another program."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from backends.progress import Progress, ProgressSink, json_lines

__all__ = ("ProgressStyle", "progress_sink")

ProgressStyle = Literal["auto", "json"]

_LINE_STEP = 0.1
"""Plain lines are written when a stage begins, and then once for each such share of it."""


@contextmanager
def progress_sink(style: ProgressStyle = "auto") -> Iterator[ProgressSink]:
    """A sink that fits where the output goes; all of it goes to standard error, JSON lines to standard output."""
    if style == "json":
        yield json_lines(sys.stdout.buffer)
    elif sys.stderr.isatty():
        with _bars() as bars:
            yield _BarSink(bars)
    else:
        yield _LineSink()


def _bars() -> Bars:
    return Bars(
        TextColumn("{task.fields[variant]:>12} {task.description:<9}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[message]}"),
        console=Console(stderr=True),
    )


class _BarSink:
    """One bar per variant and stage."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def __call__(self, step: Progress) -> None:
        key = (step.variant, step.stage)
        if key not in self._tasks:
            self._tasks[key] = self._bars.add_task(step.stage, total=1.0, variant=step.variant, message="")
        self._bars.update(self._tasks[key], completed=step.done, message=step.message)


class _LineSink:
    """A line when a stage begins and at each tenth of it."""

    def __init__(self) -> None:
        self._written: dict[tuple[str, str], float] = {}

    def __call__(self, step: Progress) -> None:
        key = (step.variant, step.stage)
        before = self._written.get(key)
        if before is not None and step.done < min(before + _LINE_STEP, 1.0):
            return
        if before is not None and before >= 1.0:
            return
        self._written[key] = step.done
        text = f"{step.variant}: {step.stage} {step.done:.0%} {step.message}".rstrip()
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
