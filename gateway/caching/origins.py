"""From a decision to the kept answer that it made or was given, so that what is said of it later finds it."""

from __future__ import annotations

import contextlib

import msgspec
from cachetools import LRUCache

from gateway.caching.background import Background
from gateway.caching.keys import PREFIX
from gateway.shared.redis import RedisDownError, SharedRedis

__all__ = ("Origin", "Origins")

KEPT = 20_000
"""Latest decisions that this process knows of by itself."""


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the answer to a request is kept."""

    key: str
    tenant: str
    similarity: float | None = None
    """Of the prompt to the one the answer was made for; None where it was made for this very request."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Origin)


class Origins:
    """Known to this process, and through Redis, where there is one, to every replica."""

    def __init__(self, redis: SharedRedis | None, background: Background) -> None:
        self._redis = redis
        self._background = background
        self._latest: LRUCache[str, Origin] = LRUCache(KEPT)

    def note(self, decision_id: str, origin: Origin, *, ttl_s: float) -> None:
        """Remember for as long as the answer is kept; returns at once."""
        self._latest[decision_id] = origin
        if (redis := self._redis) is None:
            return
        data, ttl_ms = _encoder.encode(origin), max(1, round(ttl_s * 1000))

        async def tell() -> None:
            with contextlib.suppress(RedisDownError):
                await redis.call(lambda client: client.set(_name(decision_id), data, px=ttl_ms))

        self._background.post(tell)

    async def find(self, decision_id: str) -> Origin | None:
        """The origin, as long as it is known."""
        if (known := self._latest.get(decision_id)) is not None or self._redis is None:
            return known
        try:
            data = await self._redis.call(lambda client: client.get(_name(decision_id)))
            return _decoder.decode(data) if isinstance(data, bytes) else None
        except (RedisDownError, msgspec.MsgspecError, UnicodeDecodeError):
            return None


def _name(decision_id: str) -> str:
    return f"{PREFIX}:origin:{decision_id}"
