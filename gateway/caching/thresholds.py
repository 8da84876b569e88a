"""What wrong answers have taught about each tenant's threshold; shared by replicas through Redis."""

from __future__ import annotations

import contextlib

from cachetools import TTLCache

from gateway.caching.keys import PREFIX
from gateway.caching.threshold import raised_by
from gateway.clock import Clock
from gateway.shared.redis import RedisDownError, SharedRedis

__all__ = ("RAISED_S", "Thresholds")

RAISED_S = 7 * 86_400.0
"""For so long after the last wrong answer the threshold stays raised."""

MAX_TENANTS = 10_000

_RAISE = """
local known = tonumber(redis.call('GET', KEYS[1]) or '0') or 0
if known < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
"""


class Thresholds:
    """The raised thresholds, by tenant. Without Redis this process has its own, and forgets them when it ends."""

    def __init__(self, redis: SharedRedis | None, *, clock: Clock) -> None:
        self._redis = redis
        self._raised: TTLCache[str, float] = TTLCache(MAX_TENANTS, RAISED_S, timer=clock.monotonic_s)

    async def raised(self, tenant: str) -> float | None:
        """What the tenant's threshold was raised to; None where nothing has raised it."""
        own = self._raised.get(tenant)
        if self._redis is None:
            return own
        try:
            told = await self._redis.call(lambda client: client.get(_name(tenant)))
            shared = float(told or 0.0)
        except (RedisDownError, ValueError):
            return own
        return max(own or 0.0, shared) or None

    async def wrong(self, tenant: str, *, similarity: float) -> None:
        """An answer to a prompt of this similarity was wrong."""
        now = self._raised[tenant] = raised_by(similarity, raised=self._raised.get(tenant))
        if self._redis is not None:
            ttl_ms = round(RAISED_S * 1000)
            with contextlib.suppress(RedisDownError):
                await self._redis.call(lambda client: client.eval(_RAISE, 1, _name(tenant), repr(now), str(ttl_ms)))


def _name(tenant: str) -> str:
    return f"{PREFIX}:{tenant}:threshold"
