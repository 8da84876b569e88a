"""Finds the kept answers whose prompts mean nearly the same: vectors by partition, in this process's memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ("MemoryVectors", "Near", "Vector", "Vectors")

Vector = NDArray[np.float32]
Near = tuple[str, float]
"""Key of an answer, and the cosine similarity of its prompt."""

MAX_BYTES = 32 * 1024 * 1024
"""Of all vectors in memory; the partition that was used least recently gives way."""

MAX_ROWS = 2048
"""Vectors of one partition; the oldest one gives way."""

NEAREST = 3
"""How many are looked at: the nearest may be too old, or not good enough."""


class Vectors(Protocol):
    """Vectors with the keys of answers, in partitions that never mix. What cannot be reached finds nothing."""

    async def nearest(self, partition: str, vector: Vector) -> list[Near]:
        """The few nearest, most alike first."""
        ...

    async def add(self, partition: str, vector: Vector, key: str, *, ttl_s: float) -> None:
        """Have an answer found by this vector."""
        ...

    async def drop(self, partition: str, key: str) -> None:
        """Have an answer that is gone be found no more."""
        ...


class MemoryVectors:
    """Partitions as matrices; a look-up is one product. An answer that has expired is dropped when it is found."""

    def __init__(self, *, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._partitions: OrderedDict[str, _Partition] = OrderedDict()

    @property
    def size_bytes(self) -> int:
        """What the vectors take."""
        return sum(partition.rows.nbytes for partition in self._partitions.values())

    async def nearest(self, partition: str, vector: Vector) -> list[Near]:
        """The few nearest, most alike first; none of another model's, whose vectors have another length."""
        found = self._partitions.get(partition)
        if found is None or found.rows.shape[1] != len(vector):
            return []
        self._partitions.move_to_end(partition)
        return found.nearest(_unit(vector))

    async def add(self, partition: str, vector: Vector, key: str, *, ttl_s: float) -> None:
        """Have an answer found by this vector; its time ends with the answer's."""
        del ttl_s
        found = self._partitions.get(partition)
        if found is None or found.rows.shape[1] != len(vector):
            found = self._partitions[partition] = _Partition(len(vector))
        self._partitions.move_to_end(partition)
        found.add(_unit(vector), key)
        while self.size_bytes > self._max_bytes and len(self._partitions) > 1:
            self._partitions.popitem(last=False)

    async def drop(self, partition: str, key: str) -> None:
        """Have an answer that is gone be found no more."""
        if (found := self._partitions.get(partition)) is not None:
            found.drop(key)


class _Partition:
    """Rows of unit vectors, without gaps, in a matrix that grows by doubling and then overwrites row after row."""

    def __init__(self, length: int) -> None:
        self.rows: Vector = np.zeros((4, length), dtype=np.float32)
        self._keys: list[str] = []
        self._row_of: dict[str, int] = {}
        self._overwritten = 0

    def nearest(self, vector: Vector) -> list[Near]:
        alike = self.rows[: len(self._keys)] @ vector
        return [(self._keys[row], float(alike[row])) for row in np.argsort(alike)[::-1][:NEAREST]]

    def add(self, vector: Vector, key: str) -> None:
        row = self._row_of.get(key)
        if row is None:
            row = self._row_of[key] = self._free_row(key)
        self.rows[row] = vector

    def drop(self, key: str) -> None:
        row = self._row_of.pop(key, None)
        if row is None:
            return
        last = self._keys.pop()
        if last != key:
            self._keys[row], self._row_of[last] = last, row
            self.rows[row] = self.rows[len(self._keys)]

    def _free_row(self, key: str) -> int:
        if len(self._keys) == MAX_ROWS:
            row = self._overwritten % MAX_ROWS
            self._overwritten += 1
            del self._row_of[self._keys[row]]
            self._keys[row] = key
            return row
        if len(self._keys) == len(self.rows):
            self.rows = np.vstack([self.rows, np.zeros_like(self.rows)])
        self._keys.append(key)
        return len(self._keys) - 1


def _unit(vector: Vector) -> Vector:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
