"""Where answers are kept: in this process's memory, bounded by size and time."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from cachetools import TLRUCache

from gateway.caching.stored import StoredAnswer, decoded, encoded, ranked
from gateway.clock import Clock

__all__ = ("AnswerStore", "MemoryStore")

OVERHEAD_BYTES = 600
"""What keeping an entry takes besides its text, about: key, links, time."""


class AnswerStore(Protocol):
    """Keeps answers under keys. One that cannot be reached keeps nothing, and never raises."""

    async def get(self, key: str) -> StoredAnswer | None:
        """The answer kept under a key."""
        ...

    async def put(self, key: str, answer: StoredAnswer, *, ttl_s: float) -> None:
        """Keep an answer, unless a better one is kept under this key."""
        ...

    async def drop(self, key: str) -> None:
        """Forget what is kept under a key."""
        ...


class _Held(NamedTuple):
    data: bytes
    rank: bytes
    ttl_s: float


class MemoryStore:
    """Answers in memory: the least recently used ones give way, and none outlives its time."""

    def __init__(self, *, max_bytes: int, clock: Clock) -> None:
        self._held: TLRUCache[str, _Held] = TLRUCache(
            max_bytes,
            ttu=lambda _, held, now_s: now_s + held.ttl_s,
            timer=clock.monotonic_s,
            getsizeof=lambda held: len(held.data) + OVERHEAD_BYTES,
        )

    @property
    def size_bytes(self) -> float:
        """What is held now, about."""
        return self._held.currsize

    async def get(self, key: str) -> StoredAnswer | None:
        """The answer kept under a key."""
        held = self._held.get(key)
        return None if held is None else decoded(held.data)

    async def put(self, key: str, answer: StoredAnswer, *, ttl_s: float) -> None:
        """Keep an answer, unless a better one is kept there, or it is larger than the whole store."""
        held = _Held(data=encoded(answer), rank=ranked(answer), ttl_s=ttl_s)
        before = self._held.get(key)
        if before is not None and before.rank > held.rank:
            return
        if len(held.data) + OVERHEAD_BYTES <= self._held.maxsize:
            self._held[key] = held

    async def drop(self, key: str) -> None:
        """Forget what is kept under a key."""
        self._held.pop(key, None)
