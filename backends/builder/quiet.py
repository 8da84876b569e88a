"""How busy the machine is with other work: the processor time that this process and its children did not use."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import psutil

from backends.models.manifest import Conditions

__all__ = ("MAX_OTHERS_CPU", "MAX_SPREAD", "MAX_STOLEN_CPU", "CpuTimes", "conditions", "read_cpu", "wait_until_quiet")

MAX_OTHERS_CPU = 0.15
MAX_STOLEN_CPU = 0.05
MAX_SPREAD = 0.25
"""A machine above one of these is busy."""

LOOK_EVERY_S = 5.0
QUIET_LOOKS = 3
"""So many looks in a row must find the machine quiet."""


class CpuTimes(NamedTuple):
    """Seconds, of all processors that we may use together, since some moment in the past."""

    total_s: float = 0.0
    used_s: float = 0.0
    """By any process; what was stolen is not in it."""
    stolen_s: float = 0.0
    own_s: float = 0.0
    """By this process and its children."""

    def __add__(self, other: CpuTimes) -> CpuTimes:  # type: ignore[override]
        """Both spans together."""
        return CpuTimes(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def since(self, earlier: CpuTimes) -> CpuTimes:
        """What passed in between."""
        return CpuTimes(*(now - before for now, before in zip(self, earlier, strict=True)))

    @property
    def others_share(self) -> float:
        """Share of the time that other processes used, in [0, 1]."""
        return _share(self.used_s - self.own_s, self.total_s)

    @property
    def stolen_share(self) -> float:
        """Share of the time that the hypervisor gave to other machines, in [0, 1]."""
        return _share(self.stolen_s, self.total_s)


ReadCpu = Callable[[], CpuTimes]


def read_cpu() -> CpuTimes:
    """The processors' times now."""
    times = psutil.cpu_times(percpu=True)
    if hasattr(os, "sched_getaffinity"):
        times = [times[number] for number in os.sched_getaffinity(0) if number < len(times)]

    def summed(*names: str) -> float:
        return float(sum(getattr(cpu, name, 0.0) for cpu in times for name in names))

    used_s, stolen_s = summed("user", "nice", "system", "irq", "softirq"), summed("steal")
    return CpuTimes(used_s + stolen_s + summed("idle", "iowait"), used_s, stolen_s, _own_s())


def conditions(passed: CpuTimes, *, spread: float) -> Conditions:
    """What the machine did while a variant was timed, and whether that was too much."""
    others, stolen = passed.others_share, passed.stolen_share
    return Conditions(
        busy=others > MAX_OTHERS_CPU or stolen > MAX_STOLEN_CPU or spread > MAX_SPREAD,
        others_cpu=others,
        stolen_cpu=stolen,
        spread=spread,
    )


async def wait_until_quiet(
    *,
    timeout_s: float,
    read: ReadCpu = read_cpu,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> bool:
    """Wait until the machine has been quiet for some looks in a row; False if it was not in time."""
    quiet_looks, before = 0, read()
    for _ in range(max(1, round(timeout_s / LOOK_EVERY_S))):
        await sleep(LOOK_EVERY_S)
        now = read()
        quiet_looks = 0 if conditions(now.since(before), spread=0.0).busy else quiet_looks + 1
        before = now
        if quiet_looks == QUIET_LOOKS:
            return True
    return False


def _share(part_s: float, total_s: float) -> float:
    return min(1.0, max(0.0, part_s / total_s)) if total_s > 0.0 else 0.0


def _own_s() -> float:
    own = psutil.Process()
    seconds = 0.0
    for process in (own, *own.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds
