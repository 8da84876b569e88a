"""Redis behind a breaker: calls are bounded in time, and a Redis that does not answer is left alone for a while."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from redis.asyncio import Redis

from gateway.clock import Clock
from gateway.shared.settings import CacheSettings

__all__ = ("RedisDownError", "SharedRedis", "open_redis")

T = TypeVar("T")


class RedisDownError(Exception):
    """Redis was not asked, or gave no answer in time: go on without it. Never reaches a caller."""


class SharedRedis:
    """The one way to Redis. Binary in, binary out."""

    async def call(self, work: Callable[[Redis], Awaitable[T]]) -> T:
        """What `work` makes of the connection, within the time that is set for one call.

        Raises:
            RedisDownError: It failed, took too long, or was not tried because the breaker is open.
        """
        raise RedisDownError


@asynccontextmanager
async def open_redis(settings: CacheSettings, *, clock: Clock) -> AsyncGenerator[SharedRedis | None, None]:
    """The connection, or None where no `cache.url` is set."""
    yield None
