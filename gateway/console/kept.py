"""Figures that are dear to get, kept for a moment, so that many open pages cost as much as one."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from gateway.clock import Clock

__all__ = ("Kept",)

T = TypeVar("T")

PATIENCE_S = 5.0
"""A page does not wait longer for its figures; it is shown with the last ones, or without."""

logger = logging.getLogger(__name__)


class Kept(Generic[T]):
    """What a blocking function found a moment ago."""

    def __init__(self, read: Callable[[], T], *, for_s: float, clock: Clock) -> None:
        """Prepare; nothing is read yet.

        Args:
            read: Is called on a thread, never twice at the same time.
            for_s: Seconds for which its result is good.
            clock: Tells how old it is.
        """
        self._read = read
        self._for_s = for_s
        self._clock = clock
        self._value: T | None = None
        self._read_at_s = -math.inf
        self._reading: asyncio.Task[None] | None = None
        self.trouble = ""
        """Why the last look failed; empty where it did not."""

    async def get(self) -> T | None:
        """The figures; older ones where the database does not answer in time, None where there were never any."""
        if self._clock.monotonic_s() - self._read_at_s >= self._for_s:
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._renew())
            await asyncio.wait({self._reading}, timeout=PATIENCE_S)
            if not self._reading.done():
                self.trouble = "the database does not answer"
        return self._value

    async def _renew(self) -> None:
        try:
            self._value = await asyncio.to_thread(self._read)
            self._read_at_s = self._clock.monotonic_s()
            self.trouble = ""
        except SQLAlchemyError as error:
            self.trouble = "the database refuses to be read"
            logger.warning("the console cannot read the log: %s", error)
