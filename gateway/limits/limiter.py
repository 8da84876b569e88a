"""Admits a request against its tenant's quotas, and settles what it really took when it ends."""

from __future__ import annotations

from gateway.clock import Clock
from gateway.routing.exchange import Exchange
from gateway.shared.redis import SharedRedis

__all__ = ("Limiter",)


class Limiter:
    """Requests and tokens per minute, and requests at the same time."""

    def __init__(self, redis: SharedRedis | None, *, clock: Clock) -> None:
        self._redis = redis
        self._clock = clock

    async def admit(self, exchange: Exchange) -> None:
        """Reserve what the request may take; it is settled when the exchange ends.

        Raises:
            RateLimitError: A quota does not allow it; says when it will.
        """
