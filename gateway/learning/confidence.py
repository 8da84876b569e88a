"""How sure a variant was of its answer: exp of the mean token log-probability, where the engine reports it.

This is the geometric mean of the probabilities with which the tokens were drawn, so it lies in [0, 1] and does not
fall with the length of the answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ("Confidence",)


class Confidence:
    """Collects the log-probabilities of one answer, from its events or from the whole."""

    __slots__ = ("_count", "_sum")

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0

    @property
    def value(self) -> float | None:
        """In [0, 1]; None where no token came with a log-probability."""
        return math.exp(self._sum / self._count) if self._count else None

    def add(self, event: Mapping[str, Any]) -> None:
        """Take in an answer or one event of a stream, of either route; what has another shape counts for nothing.

        Tokens of several choices count alike.
        """
        for choice in event["choices"]:
            if not isinstance(found := choice.get("logprobs"), dict):
                continue
            for logprob in _of_chat(found.get("content")) or found.get("token_logprobs") or ():
                # The first token of an echoed prompt has none; an impossible token is one that JSON cannot say.
                if isinstance(logprob, int | float) and math.isfinite(logprob):
                    self._sum += min(logprob, 0.0)
                    self._count += 1


def _of_chat(content: object) -> Iterable[object]:
    entries = content if isinstance(content, list) else ()
    return [entry.get("logprob") for entry in entries if isinstance(entry, dict)]
