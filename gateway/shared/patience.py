"""A bound in time that does not blame the other side for what this process itself was busy with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

__all__ = ("bounded",)

MOST_ROUNDS = 4
"""The time is extended at most so often, each time by at most as much again."""

GRAIN_S = 0.001
"""Less than this is no time to extend by."""


@asynccontextmanager
async def bounded(timeout_s: float) -> AsyncGenerator[None, None]:
    """Break the block off after so many seconds of waiting: time in which the event loop was at work does not count.

    A loop that was busy sees an answer and the end of the time for it in the same moment, and would throw away what
    has long arrived. Busy is what the thread computed, or by how much the alarm went off too late.

    Raises:
        TimeoutError: The time is over.
    """
    loop = asyncio.get_running_loop()
    began_s, worked_s = loop.time(), time.thread_time()
    alarm: asyncio.TimerHandle

    def ring(due_s: float, late_s: float, rounds: int) -> None:
        nonlocal alarm
        now_s = loop.time()
        late_s += now_s - due_s
        busy_s = max(late_s, time.thread_time() - worked_s)
        left_s = min(timeout_s, timeout_s - (now_s - began_s - busy_s))
        if rounds and left_s > GRAIN_S:
            alarm = loop.call_at(now_s + left_s, ring, now_s + left_s, late_s, rounds - 1)
        else:
            bound.reschedule(now_s)

    async with asyncio.timeout(None) as bound:
        alarm = loop.call_at(began_s + timeout_s, ring, began_s + timeout_s, 0.0, MOST_ROUNDS)
        try:
            yield
        finally:
            alarm.cancel()
