"""Time spent on a piece of work over several runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from backends.models.files import write_atomically

__all__ = ("Stopwatch",)


class Stopwatch:
    """Counts the seconds of all runs together, as far as `save` was called in those that were killed.

    It stands still until `start` is called.
    """

    def __init__(self, path: Path, *, total_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._total_s = total_s
        self._clock = clock
        self._before_s = float(path.read_text()) if path.is_file() else 0.0
        self._started_s: float | None = None

    def start(self) -> None:
        """Begin to count."""
        self._started_s = self._clock()

    @property
    def elapsed_s(self) -> float:
        """Seconds spent."""
        return self._before_s + (0.0 if self._started_s is None else self._clock() - self._started_s)

    @property
    def share(self) -> float:
        """Share of the total that is spent; above 1 when it is overspent."""
        return self.elapsed_s / self._total_s

    def progress(self, *, begin_s: float, share: float = 1.0) -> float:
        """How far a stage is, in [0, 1].

        Args:
            begin_s: What the stopwatch showed when it began.
            share: Share of the time that was left then, which the stage may take.
        """
        length_s = share * (self._total_s - begin_s)
        return min(max((self.elapsed_s - begin_s) / length_s, 0.0), 1.0) if length_s > 0 else 1.0

    def save(self) -> None:
        """Keep the count for the next run."""
        write_atomically(self._path, str(self.elapsed_s).encode())
