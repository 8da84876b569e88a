"""Asks for a training when the learner of this process noticed that a variant changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.learning.schedule import LOOK_EVERY_S, ask

__all__ = ("ChangeRequests",)

logger = logging.getLogger(__name__)


class ChangeRequests:
    """Remembers which changes were asked about. For the event loop's thread only."""

    def __init__(self, engine: Engine, changes: Callable[[], Mapping[str, Sequence[float]]]) -> None:
        """Take what has been noticed so far as dealt with.

        Args:
            engine: The database.
            changes: Times of the changes that were noticed, by variant.
        """
        self._engine = engine
        self._changes = changes
        self._asked = self._counts()

    async def look(self) -> None:
        """Ask for a training if a change was noticed since the last look.

        Raises:
            SQLAlchemyError: The database failed; the next look asks again.
        """
        counts = self._counts()
        changed = sorted(name for name, count in counts.items() if count > self._asked.get(name, 0))
        for name in changed:
            await asyncio.to_thread(ask, self._engine, because=f"the answers of `{name}` changed")
        self._asked = counts

    async def keep(self, *, every_s: float = LOOK_EVERY_S) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.look()
            except SQLAlchemyError as error:
                logger.debug("no training could be asked for: %s", error)

    def _counts(self) -> dict[str, int]:
        return {name: len(times) for name, times in self._changes().items()}
