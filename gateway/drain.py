"""The end of the grace period: what still runs then is told so, instead of being cut without a word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from gateway.errors import RestartingError

__all__ = ("Drain",)


class Drain:
    """Bounds whatever may still be running when the process has to go."""

    def __init__(self) -> None:
        self._over = False
        self._bounds: set[asyncio.Timeout] = set()
        self._at_once: list[Callable[[], None]] = []

    def on_begin(self, callback: Callable[[], None]) -> None:
        """Have something done as soon as the process is told to stop."""
        self._at_once.append(callback)

    def begin(self, *, grace_s: float) -> None:
        """The process was told to stop: in so many seconds nothing may run any more."""
        for callback in self._at_once:
            callback()
        asyncio.get_running_loop().call_later(grace_s, self._end)

    @asynccontextmanager
    async def bound(self) -> AsyncGenerator[None, None]:
        """Break the block off when the time is over.

        Raises:
            RestartingError: It is.
        """
        try:
            async with asyncio.timeout(0.0 if self._over else None) as bound:
                self._bounds.add(bound)
                try:
                    yield
                finally:
                    self._bounds.discard(bound)
        except TimeoutError:
            if not bound.expired():
                raise
            raise RestartingError from None

    def _end(self) -> None:
        self._over = True
        now_s = asyncio.get_running_loop().time()
        for bound in self._bounds:
            bound.reschedule(now_s)
