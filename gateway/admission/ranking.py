"""Things by rank: a heap whose entries may be changed and taken out."""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

__all__ = ("Ranking",)

K = TypeVar("K", bound=Hashable)

_SLACK = 64


class Ranking(Generic[K]):
    """Each thing once, under a rank; every operation takes O(log n), amortised.

    An entry of the heap is out of date where its number is not the thing's latest; such entries are passed over, and
    swept out before they are more than those in force.
    """

    def __init__(self) -> None:
        self._latest: dict[K, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._number = 0

    def __len__(self) -> int:
        return len(self._latest)

    def __contains__(self, key: object) -> bool:
        return key in self._latest

    def put(self, key: K, rank: float) -> None:
        """Give a thing a rank, in place of the one it had; of equal ranks the earlier put comes first."""
        self._number += 1
        self._latest[key] = (rank, self._number)
        if len(self._heap) > 2 * len(self._latest) + _SLACK:
            self._heap = [(rank, number, key) for key, (rank, number) in self._latest.items()]
            heapify(self._heap)
        else:
            heappush(self._heap, (rank, self._number, key))

    def discard(self, key: K) -> None:
        """Take a thing out, if it is in."""
        self._latest.pop(key, None)

    def rank(self, key: K) -> float | None:
        """A thing's rank; None where it is not in."""
        latest = self._latest.get(key)
        return None if latest is None else latest[0]

    def first(self) -> tuple[K, float] | None:
        """The thing of the lowest rank, and its rank; it stays in."""
        while self._heap:
            rank, number, key = self._heap[0]
            if self._latest.get(key) == (rank, number):
                return key, rank
            heappop(self._heap)
        return None
