"""Polls the tail of the log on a thread, and hands what is new over on the event loop's thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from gateway.learning.tail import LogTail, Position
from policies.samples import Sample

__all__ = ("LogFollower",)

POLL_S = 0.5
"""With a log that is flushed twice a second, a judgement is known everywhere about a second after it was made."""

LIMIT = 1000
"""Rows of one poll; where there are more, the next poll follows at once."""

logger = logging.getLogger(__name__)


class LogFollower:
    """Follows the log until it is closed. A database that fails is logged once, and tried again."""

    def __init__(
        self,
        tail: LogTail,
        deliver: Callable[[Sequence[Sample]], None],
        *,
        poll_s: float = POLL_S,
        limit: int = LIMIT,
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            tail: Where to read; nothing else may poll it from now on.
            deliver: Takes the samples of each poll on the event loop's thread. What it raises is logged.
            poll_s: Seconds between two polls.
            limit: Rows of one poll.
        """
        self._tail = tail
        self._deliver = deliver
        self._poll_s = poll_s
        self._limit = limit
        self._position = tail.position
        self._trouble = ""
        self._closing = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self.delivered = 0
        """Samples handed over."""

    @property
    def position(self) -> Position:
        """How far the log was handed over; kept with the consumer's state, it lets a restart continue from there."""
        return self._position

    async def start(self) -> None:
        """Hand over what is there, as far as one poll reaches, and go on following."""
        await self.look()
        self._following = asyncio.create_task(self._follow())

    async def aclose(self) -> None:
        """Stop following; a poll in progress is ended first, so that its connection is given back."""
        self._closing.set()
        if self._following is not None:
            await self._following

    async def look(self) -> None:
        """Poll once and hand over what is new. Never raises."""
        try:
            samples = await asyncio.to_thread(self._tail.poll, self._limit)
            trouble = ""
        except Exception as error:  # noqa: BLE001 - a log that is never followed again would be worse
            samples, trouble = [], f"{type(error).__name__}: {error}"
        if trouble != self._trouble:
            logger.warning("the log cannot be followed: %s", trouble or "it can again")
            self._trouble = trouble
        if samples:
            try:
                self._deliver(samples)
            except Exception:
                logger.exception("%d samples of the log were not learned from", len(samples))
            self.delivered += len(samples)
        self._position = self._tail.position

    async def _follow(self) -> None:
        while not self._closing.is_set():
            if not self._tail.behind or self._trouble:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), self._poll_s)
                    return
            await self.look()
