"""Vectors in Redis vector sets (Redis 8.0 or later), one set for each partition.

A server without vector sets refuses the commands, which makes every look-up a miss.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable
from typing import Any

from redis.asyncio import Redis

from gateway.caching.vectors import NEAREST, Near, Vector
from gateway.shared.redis import RedisDownError, SharedRedis

__all__ = ("RedisVectors",)

MAX_MEMBERS = 10_000
"""Vectors of one partition; beyond it any one gives way."""


class RedisVectors:
    """Found by HNSW, an approximate search; the vectors themselves are kept in full precision."""

    def __init__(self, redis: SharedRedis) -> None:
        self._redis = redis

    async def nearest(self, partition: str, vector: Vector) -> list[Near]:
        """The few nearest, most alike first. Redis tells (1 + cosine) / 2."""
        data = vector.astype("<f4").tobytes()
        asked = ("VSIM", partition, "FP32", data, "WITHSCORES", "COUNT", NEAREST)
        try:
            found = await self._redis.call(lambda redis: _run(redis, *asked))
            return [(key.decode(), 2.0 * float(score) - 1.0) for key, score in dict(found).items()]
        except (RedisDownError, ValueError, TypeError, AttributeError):
            return []

    async def add(self, partition: str, vector: Vector, key: str, *, ttl_s: float) -> None:
        """Have an answer found by this vector, until `ttl_s` after the last addition to its partition."""
        data = vector.astype("<f4").tobytes()

        async def add(redis: Redis) -> None:
            await _run(redis, "VADD", partition, "FP32", data, key, "NOQUANT")
            await redis.pexpire(partition, max(1, round(ttl_s * 1000)))
            if await _run(redis, "VCARD", partition) > MAX_MEMBERS:
                await _run(redis, "VREM", partition, await _run(redis, "VRANDMEMBER", partition))

        with contextlib.suppress(RedisDownError):
            await self._redis.call(add)

    async def drop(self, partition: str, key: str) -> None:
        """Have an answer that is gone be found no more."""
        with contextlib.suppress(RedisDownError):
            await self._redis.call(lambda redis: _run(redis, "VREM", partition, key))


def _run(redis: Redis, *command: str | bytes | int) -> Awaitable[Any]:
    """A command that the library has no typed name for."""
    answer: Awaitable[Any] = redis.execute_command(*command)  # type: ignore[no-untyped-call]
    return answer
