"""Named features that a person could count: how long, how many numbers, whether it asks, whether it is code.

Counts enter as `log(1 + n)` over the logarithm of a large one, shares as they are, so that all lie in about [0, 1].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.features.grams import Text, word_hash

__all__ = ("surface",)


def _hashes(words: str) -> NDArray[np.uint64]:
    return np.sort(np.array([word_hash(word) for word in words.split()], np.uint64))


_QUESTION_WORDS = _hashes("what which who whom whose when where why how is are does do did can could would should")
_NEGATIONS = _hashes("not no never except without neither nor none cannot isn doesn don least false incorrect")
_CODE_WORDS = _hashes("def class return import function const var void int public lambda elif printf select null self")

_CLASSES = {
    "digits": b"0123456789",
    "lines": b"\n",
    "questions": b"?",
    "math": b"=+*/^<>\\|~",
    "money": b"$%",
    "commas": b",",
    "full_stops": b".",
    "upper": bytes(range(ord("A"), ord("Z") + 1)),
    "non_ascii": bytes(range(128, 256)),
    "brackets": b"()[]{}",
    "ticks": b"`",
}
_MEMBERSHIP = np.zeros((len(_CLASSES), 256))
for _row, _members in enumerate(_CLASSES.values()):
    _MEMBERSHIP[_row, list(_members)] = 1.0
_DIGIT = np.zeros(256, np.int8)
_DIGIT[list(_CLASSES["digits"])] = 1

_SCALE = 1.0 / np.log1p(1000.0)
"""A count of 1,000 becomes 1."""


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
    counts = (
        size,
        words,
        of["digits"],
        numbers,
        longest,
        of["lines"],
        of["questions"],
        _among(text.words, _QUESTION_WORDS),
        _among(text.words, _NEGATIONS),
        of["math"],
        of["money"],
        of["commas"],
        of["full_stops"],
        of["ticks"] + _among(text.words, _CODE_WORDS),
        of["brackets"],
        turns,
        tools,
    )
    logs = (np.log1p(counts) * _SCALE).tolist()
    length, n_words, digits, n_numbers, longest_number, lines, questions, asks, negations = logs[:9]
    math, money, commas, full_stops, code, brackets, n_turns, n_tools = logs[9:]
    word_bytes = min(1.0, size / max(1, words) / 20.0)
    distinct = len(np.unique(text.words)) / max(1, words)
    shares = [of[name] / max(1, size) for name in ("digits", "upper", "non_ascii")]
    row = (length, n_words, word_bytes, distinct, digits, shares[0], n_numbers, longest_number, lines, questions, asks)
    rest = (negations, math, money, commas, full_stops, shares[1], shares[2], code, brackets, n_turns, n_tools)
    return np.array(row + rest, np.float32)


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
