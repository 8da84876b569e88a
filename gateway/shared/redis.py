"""Redis behind a breaker: calls are bounded in time, and a Redis that does not answer is left alone for a while.

A slow Redis is worse than a dead one. Every call has a few milliseconds; after some that failed none is made until a
probe of our own, which no request waits for, has been answered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import numpy as np
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from gateway.clock import Clock
from gateway.environment import from_environment
from gateway.routing.breaker import Breaker
from gateway.routing.settings import CallSettings
from gateway.shared.patience import bounded
from gateway.shared.settings import CacheSettings
from gateway.telemetry.timeline import aside

__all__ = ("RedisDownError", "SharedRedis", "open_redis")

T = TypeVar("T")

AT_ONCE = 8
"""Calls under way. More would only wait for each other in this process, each with its time running."""

LONGEST_TURN_S = 0.5
"""Longest wait for a turn. It is long only in a crowd: once the breaker is open, nobody waits."""

LEFT_ALONE = "Redis is left alone for now"
CIRCUIT = CallSettings(breaker_failures=5, breaker_share=0.5, open_s=0.5, longest_open_s=5.0)
"""When Redis is left alone, and for how long."""

logger = logging.getLogger(__name__)


class RedisDownError(Exception):
    """Redis was not asked, or gave no answer in time: go on without it. Never reaches a caller."""


class SharedRedis:
    """The one way to Redis. Binary in, binary out."""

    def __init__(
        self, client: Redis, *, timeout_s: float, clock: Clock, rng: np.random.Generator | None = None
    ) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._clock = clock
        self._breaker = Breaker(CIRCUIT, rng=rng or np.random.default_rng())
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._probing: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        """Whether it is asked at present."""
        return self._probing is None

    async def call(self, work: Callable[[Redis], Awaitable[T]]) -> T:
        """What `work` makes of the connection, within the time that is set for one call.

        Raises:
            RedisDownError: It failed, took too long, or was not tried because the breaker is open.
        """
        if not self.up:
            raise RedisDownError(LEFT_ALONE)
        try:
            async with bounded(LONGEST_TURN_S):
                await self._turns.acquire()
        except TimeoutError:
            raise RedisDownError("too many wait for Redis") from None
        try:
            return await self._asked(work)
        finally:
            self._turns.release()

    async def _asked(self, work: Callable[[Redis], Awaitable[T]]) -> T:
        if not self.up:  # Found out while this call waited for its turn.
            raise RedisDownError(LEFT_ALONE)
        try:
            with aside("redis"):
                async with bounded(self._timeout_s):
                    result = await work(self._client)
        except ResponseError as error:
            # It answers, if only that it is full or read-only.
            self._breaker.succeed(probe=False)
            raise RedisDownError(str(error)) from None
        except (RedisError, OSError) as error:
            self._failed(error)
            raise RedisDownError(type(error).__name__) from None
        self._breaker.succeed(probe=False)
        return result

    async def aclose(self) -> None:
        """Close the connections."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        await self._client.aclose()

    def _failed(self, error: Exception) -> None:
        now_s = self._clock.monotonic_s()
        self._breaker.fail(now_s, probe=False)
        if self.up and self._breaker.shut_s(now_s) is not None:
            logger.warning("going on without Redis: %s", type(error).__name__)
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        """Ask now and then whether it answers again."""
        while True:
            now_s = self._clock.monotonic_s()
            await asyncio.sleep(self._breaker.shut_s(now_s) or 0.0)
            now_s = self._clock.monotonic_s()
            if not self._breaker.enter(now_s):
                continue
            try:
                async with bounded(self._timeout_s):
                    await self._client.ping()
            except (RedisError, OSError):
                self._breaker.fail(self._clock.monotonic_s(), probe=True)
                continue
            self._breaker.succeed(probe=True)
            logger.warning("Redis answers again")
            self._probing = None
            return


@asynccontextmanager
async def open_redis(settings: CacheSettings, *, clock: Clock) -> AsyncGenerator[SharedRedis | None, None]:
    """The connection, or None where no `cache.url` is set. Whether Redis answers is found out by the first call."""
    if settings.url is None:
        yield None
        return
    pool = BlockingConnectionPool.from_url(
        from_environment(settings.url, key="cache.url"),
        max_connections=AT_ONCE + 1,  # And one for the probe.
        socket_connect_timeout=LONGEST_TURN_S,  # Beyond any bound of ours, which tells busy from slow.
        retry=Retry(NoBackoff(), 0),
        driver_info=None,  # Telling the library's version takes a look at the disk for every connection.
    )
    shared = SharedRedis(Redis.from_pool(pool), timeout_s=settings.timeout_s, clock=clock)
    try:
        yield shared
    finally:
        await shared.aclose()
