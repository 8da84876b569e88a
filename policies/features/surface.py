"""Named features that a person could count: how long, how many numbers, whether it asks, whether it is code.

Sizes enter as logarithms, small counts as they are (the tenth number of a sum is as telling as the second), shares as
shares; all are scaled to about [0, 1].
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from policies.features.grams import Text, WordLists, spans
from policies.features.layout import SURFACE

__all__ = ("surface",)


_LISTS = WordLists(
    (
        "what which who whom whose when where why how is are does do did can could would should",
        "not never except without neither nor none cannot isn doesn don incorrect",
        "def class return import function const var void int public lambda elif printf select null",
    )
)
"""Of question words, of negations, of words of code."""

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
_DIGIT = _MEMBERSHIP[list(_CLASSES).index("digits")] > 0.0

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
    starts, ends = spans(text.data, _DIGIT)
    asking, negating, coding = _LISTS.counts(text.words).tolist()
    rising = np.sort(text.words)
    named = {
        "length": math.log1p(size) * _LOG_SCALE,
        "words": math.log1p(words) * _LOG_SCALE,
        "word_length": min(2.0, size / max(1, words) * _COUNT_SCALE),
        "distinct_words": (np.count_nonzero(rising[1:] != rising[:-1]) + 1) / words if words else 0.0,
        "digits": math.log1p(of["digits"]) * _LOG_SCALE,
        "digit_share": of["digits"] / max(1, size),
        "numbers": len(starts) * _COUNT_SCALE,
        "longest_number": int((ends - starts).max(initial=0)) * _COUNT_SCALE,
        "lines": of["lines"] * _COUNT_SCALE,
        "question_words": asking * _COUNT_SCALE,
        "negations": min(1, negating),
        "upper_share": of["upper"] / max(1, size),
        "non_ascii_share": of["non_ascii"] / max(1, size),
        "code": min(1.0, (of["ticks"] // 3 + coding) / 3),
        "turns": math.log1p(turns) * _LOG_SCALE,
        "tools": math.log1p(tools) * _LOG_SCALE,
        **{name: of[name] * _COUNT_SCALE for name in _TELLING},
    }
    return np.array([named[name] for name in SURFACE], np.float32)
