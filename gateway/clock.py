"""The two clocks the gateway reads, as one value that tests can replace."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ("SYSTEM_CLOCK", "Clock")


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Wall time for records, monotonic time for durations; both in seconds."""

    wall_s: Callable[[], float]
    monotonic_s: Callable[[], float]


SYSTEM_CLOCK = Clock(wall_s=time.time, monotonic_s=time.perf_counter)
