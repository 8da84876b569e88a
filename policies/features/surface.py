"""Named features that a person could count: how long, how many numbers, whether it asks, whether it is code.

Sizes enter as logarithms, small counts as they are (the tenth number of a sum is as telling as the second), shares as
shares; all are scaled to about [0, 1].
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from policies.features.grams import Text, word_hash
from policies.features.layout import SURFACE

__all__ = ("surface",)


def _hashes(words: str) -> NDArray[np.uint64]:
    return np.sort(np.array([word_hash(word) for word in words.split()], np.uint64))


_QUESTION_WORDS = _hashes("what which who whom whose when where why how is are does do did can could would should")
_NEGATIONS = _hashes("not never except without neither nor none cannot isn doesn don incorrect")
_CODE_WORDS = _hashes("def class return import function const var void int public lambda elif printf select null")

_CLASSES = {
    "digits": b"0123456789",
    "lines": b"\n",
    "questions": b"?",
    "math": b"=+-*/^\\$<>",
    "money": b"$%",
    "commas": b",",
    "full_stops": b".",
    "upper": bytes(range(ord("A"), ord("Z") + 1)),
    "non_ascii": bytes(range(128, 256)),
    "ticks": b"`",
}
_MEMBERSHIP = np.zeros((len(_CLASSES), 256))
for _row, _members in enumerate(_CLASSES.values()):
    _MEMBERSHIP[_row, list(_members)] = 1.0
_DIGIT = np.zeros(256, np.int8)
_DIGIT[list(_CLASSES["digits"])] = 1

_TELLING = ("questions", "math", "money", "commas", "full_stops")
_COUNT_SCALE, _LOG_SCALE = 0.1, 0.1


def surface(text: Text, byte_counts: NDArray[np.int64], *, turns: int, tools: int) -> NDArray[np.float32]:
    """The features of `layout.SURFACE`, in their order.

    Args:
        text: The text.
        byte_counts: How often each byte value occurs in it; shape (256,).
        turns: Messages of the conversation.
        tools: Tools offered.
    """
    size, words = len(text.data), len(text.words)
    of = dict(zip(_CLASSES, (_MEMBERSHIP @ byte_counts).tolist(), strict=True))
    numbers, longest = _numbers(text.data) if of["digits"] else (0, 0)
    named = {
        "length": math.log1p(size) * _LOG_SCALE,
        "words": math.log1p(words) * _LOG_SCALE,
        "word_length": min(2.0, size / max(1, words) * _COUNT_SCALE),
        "distinct_words": len(np.unique(text.words)) / max(1, words),
        "digits": math.log1p(of["digits"]) * _LOG_SCALE,
        "digit_share": of["digits"] / max(1, size),
        "numbers": numbers * _COUNT_SCALE,
        "longest_number": longest * _COUNT_SCALE,
        "lines": of["lines"] * _COUNT_SCALE,
        "question_words": _among(text.words, _QUESTION_WORDS) * _COUNT_SCALE,
        "negations": min(1, _among(text.words, _NEGATIONS)),
        "upper_share": of["upper"] / max(1, size),
        "non_ascii_share": of["non_ascii"] / max(1, size),
        "code": min(1.0, (of["ticks"] // 3 + _among(text.words, _CODE_WORDS)) / 3),
        "turns": math.log1p(turns) * _LOG_SCALE,
        "tools": math.log1p(tools) * _LOG_SCALE,
        **{name: of[name] * _COUNT_SCALE for name in _TELLING},
    }
    return np.array([named[name] for name in SURFACE], np.float32)


def _among(words: NDArray[np.uint64], few: NDArray[np.uint64]) -> int:
    """How many of the words are among a few; the few are sorted."""
    places = np.searchsorted(few, words)
    places[places == len(few)] = 0
    return int(np.count_nonzero(few[places] == words))


def _numbers(data: NDArray[np.uint8]) -> tuple[int, int]:
    """How many runs of digits there are, and the length of the longest."""
    inside = np.zeros(len(data) + 2, np.int8)
    inside[1:-1] = _DIGIT[data]
    edges = np.flatnonzero(np.diff(inside))
    return len(edges) // 2, int((edges[1::2] - edges[::2]).max())
