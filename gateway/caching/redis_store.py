"""Answers in Redis, shared by all replicas. Whatever Redis does, the worst that follows is a miss."""

from __future__ import annotations

import contextlib

from gateway.caching.store import MemoryStore
from gateway.caching.stored import HEAD_BYTES, MARK, StoredAnswer, decoded, encoded, ranked
from gateway.clock import Clock
from gateway.shared.redis import RedisDownError, SharedRedis

__all__ = ("RedisStore",)

_BETTER = f"""
local head = redis.call('GETRANGE', KEYS[1], 0, {HEAD_BYTES - 1})
if string.sub(head, 1, {len(MARK)}) == '{MARK.decode()}' and string.sub(head, {len(MARK) + 1}) > ARGV[2] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1
"""
"""Keeps the better of two answers; their qualities have the same length, and compare as text."""


LOCAL_S = 2.0
"""How long this process gives an answer again without asking Redis, and so may not know that it was dropped."""


class RedisStore:
    """Answers under the keys they have everywhere, each with its time to live; behind the latest ones in memory."""

    def __init__(self, redis: SharedRedis, *, max_bytes: int, max_entry_bytes: int, clock: Clock) -> None:
        self._redis = redis
        self._latest = MemoryStore(max_bytes=max_bytes, clock=clock)
        self._longest_bytes = 2 * max_entry_bytes
        """Of an entry with all its fields; what is longer is none of ours."""

    async def get(self, key: str) -> StoredAnswer | None:
        """The answer kept under a key; None also where Redis does not say, or says what is no answer."""
        if (latest := await self._latest.get(key)) is not None:
            return latest
        try:
            data = await self._redis.call(lambda redis: redis.getrange(key, 0, self._longest_bytes))
        except RedisDownError:
            return None
        answer = decoded(data) if isinstance(data, bytes) else None
        if answer is not None:
            await self._latest.put(key, answer, ttl_s=LOCAL_S)
        return answer

    async def put(self, key: str, answer: StoredAnswer, *, ttl_s: float) -> None:
        """Keep an answer, unless a better one is kept under this key."""
        ttl_ms = str(max(1, round(ttl_s * 1000)))
        try:
            kept = await self._redis.call(
                lambda redis: redis.eval(_BETTER, 1, key, encoded(answer), ranked(answer), ttl_ms)
            )
        except RedisDownError:
            kept = 1
        if kept:
            await self._latest.put(key, answer, ttl_s=min(ttl_s, LOCAL_S))

    async def drop(self, key: str) -> None:
        """Forget what is kept under a key."""
        await self._latest.drop(key)
        with contextlib.suppress(RedisDownError):
            await self._redis.call(lambda redis: redis.delete(key))
