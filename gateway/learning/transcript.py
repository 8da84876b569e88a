"""The text of an answer as its caller is sent it, kept in memory until it has been judged, and never longer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

__all__ = ("Transcript",)

MAX_CHARACTERS = 200_000
"""A longer answer is not judged."""


class Transcript:
    """Collects one answer, from its events or from the whole."""

    def __init__(self, *, sampled: bool = False) -> None:
        self.sampled = sampled
        """Whether the reference variant is to be asked the same."""
        self._pieces: defaultdict[int, list[str]] = defaultdict(list)
        self._characters = 0

    @property
    def too_long(self) -> bool:
        """Whether the answer is too long to be judged."""
        return self._characters > MAX_CHARACTERS

    @property
    def texts(self) -> tuple[str, ...]:
        """One text per choice that has any; none of an answer that is too long."""
        if self.too_long:
            return ()
        return tuple("".join(self._pieces[index]) for index in sorted(self._pieces))

    def add(self, event: Mapping[str, Any]) -> None:
        """Take in an answer or one event of a stream, of either route."""
        for choice in event["choices"]:
            holder = choice.get("message") or choice.get("delta") or choice
            piece = holder.get("content") or holder.get("text")
            if isinstance(piece, str):
                self._characters += len(piece)
                if self._characters <= MAX_CHARACTERS:
                    self._pieces[choice.get("index", 0)].append(piece)
