"""Which texts are computed next, so that one request of thousands keeps no request of one waiting."""

from __future__ import annotations

import collections
from collections.abc import Sequence

import msgspec

__all__ = ("Batches", "Row")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One text of a request."""

    request_id: int
    index: int
    """Its place among the texts of the request."""
    text: str
    tokens: int
    """Its length."""


class Batches:
    """Rows that wait, served one per request in turn. Not thread-safe.

    Args:
        max_rows: Rows in a batch at most.
        max_tokens: Tokens of a batch at most, counted with the padding to its longest row; one row always fits.
    """

    def __init__(self, *, max_rows: int, max_tokens: int) -> None:
        self._max_rows = max_rows
        self._max_tokens = max_tokens
        self._waiting: collections.OrderedDict[int, list[Row]] = collections.OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, request_id: int, texts: Sequence[str], lengths: Sequence[int]) -> None:
        """Have the texts of a request computed; those of like length together, the shortest first."""
        rows = [
            Row(request_id=request_id, index=index, text=text, tokens=tokens)
            for index, (text, tokens) in enumerate(zip(texts, lengths, strict=True))
        ]
        self._waiting[request_id] = sorted(rows, key=lambda row: row.tokens, reverse=True)

    def drop(self, request_id: int) -> None:
        """Forget what is left of a request; one that is not known is none."""
        self._waiting.pop(request_id, None)

    def take(self) -> list[Row]:
        """The next batch; empty when nothing waits."""
        batch: list[Row] = []
        longest = 0
        while self._waiting and len(batch) < self._max_rows:
            request_id, rows = next(iter(self._waiting.items()))
            longest = max(longest, rows[-1].tokens)
            if batch and longest * (len(batch) + 1) > self._max_tokens:
                break
            batch.append(rows.pop())
            self._waiting.move_to_end(request_id)
            if not rows:
                del self._waiting[request_id]
        return batch
