"""A bound in time that does not blame the other side for what this process itself was busy with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

__all__ = ("bounded",)

LATE_S = 0.005
"""An alarm that goes off later than this was held up by this process: its loop, or the machine, was busy."""


@asynccontextmanager
async def bounded(timeout_s: float) -> AsyncGenerator[None, None]:
    """Break the block off after so many seconds; once as many more if the event loop was busy when they were over.

    A loop that stood still sees an answer and the end of the time for it in the same moment, and would throw away
    what has long arrived.

    Raises:
        TimeoutError: The time is over.
    """
    loop = asyncio.get_running_loop()
    alarm: asyncio.TimerHandle

    def ring(due_s: float, rings_left: int) -> None:
        nonlocal alarm
        now_s = loop.time()
        if rings_left and now_s - due_s > LATE_S:
            alarm = loop.call_at(now_s + timeout_s, ring, now_s + timeout_s, rings_left - 1)
        else:
            bound.reschedule(now_s)

    due_s = loop.time() + timeout_s
    async with asyncio.timeout(None) as bound:
        alarm = loop.call_at(due_s, ring, due_s, 1)
        try:
            yield
        finally:
            alarm.cancel()
