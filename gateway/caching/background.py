"""Work that no request waits for, done one after the other: a bounded queue and one task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

__all__ = ("Background",)

MAX_WAITING = 10_000

logger = logging.getLogger(__name__)

Work = Callable[[], Awaitable[object]]


class Background:
    """Does what it is given, in order. What does not fit in the queue is dropped, and counted."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Work] = asyncio.Queue(MAX_WAITING)
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0
        """Pieces of work that never will be done."""

    def post(self, work: Work) -> None:
        """Have something done; returns at once."""
        try:
            self._waiting.put_nowait(work)
        except asyncio.QueueFull:
            self.dropped += 1
            return
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def aclose(self) -> None:
        """Drop what is not done yet."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            work = await self._waiting.get()
            try:
                await work()
            except Exception:
                logger.exception("work in the background of the caches failed")
