"""From a decision to the kept answer that it made or was given, so that what is said of it later finds it."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import NamedTuple

import msgspec
from cachetools import LRUCache
from redis.asyncio import Redis

from gateway.caching.background import Background
from gateway.caching.keys import PREFIX
from gateway.shared.redis import RedisDownError, SharedRedis

__all__ = ("Origin", "Origins")

KEPT = 20_000
"""Latest decisions that this process knows of by itself."""


TOLD_WITHIN_S = 0.1
"""How long the other replicas do not know of a decision yet."""

BATCH = 200


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the answer to a request is kept."""

    key: str
    tenant: str
    similarity: float | None = None
    """Of the prompt to the one the answer was made for; None where it was made for this very request."""


class _Note(NamedTuple):
    name: str
    data: bytes
    ttl_ms: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Origin)


class Origins:
    """Known to this process, and through Redis, where there is one, to every replica."""

    def __init__(self, redis: SharedRedis | None, background: Background) -> None:
        self._redis = redis
        self._background = background
        self._latest: LRUCache[str, Origin] = LRUCache(KEPT)
        self._untold: list[_Note] = []
        """What Redis is told next."""

    def note(self, decision_id: str, origin: Origin, *, ttl_s: float) -> None:
        """Remember for as long as the answer is kept; returns at once."""
        self._latest[decision_id] = origin
        if self._redis is None:
            return
        self._untold.append(_Note(_name(decision_id), _encoder.encode(origin), max(1, round(ttl_s * 1000))))
        if len(self._untold) == 1:
            self._background.post(self._tell)

    async def find(self, decision_id: str) -> Origin | None:
        """The origin, as long as it is known."""
        if (known := self._latest.get(decision_id)) is not None or self._redis is None:
            return known
        try:
            data = await self._redis.call(lambda client: client.get(_name(decision_id)))
            return _decoder.decode(data) if isinstance(data, bytes) else None
        except (RedisDownError, msgspec.MsgspecError, UnicodeDecodeError):
            return None

    async def _tell(self) -> None:
        """Tell Redis, many at once: one by one they would take longer than the answers themselves."""
        await asyncio.sleep(TOLD_WITHIN_S)
        notes, self._untold = self._untold, []
        assert self._redis is not None
        for first in range(0, len(notes), BATCH):
            batch = notes[first : first + BATCH]
            with contextlib.suppress(RedisDownError):
                await self._redis.call(partial(_set, batch))


async def _set(batch: list[_Note], client: Redis) -> None:
    async with client.pipeline(transaction=False) as pipe:
        for note in batch:
            pipe.set(note.name, note.data, px=note.ttl_ms)
        await pipe.execute()


def _name(decision_id: str) -> str:
    return f"{PREFIX}:origin:{decision_id}"
