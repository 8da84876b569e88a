"""A guess at the language of a text: by script where that tells, else by the commonest words.

Good enough to tell traffic apart; no more is claimed. Every list holds words that are frequent in one of the
languages and rare in the others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.features.grams import Text, WordLists

__all__ = ("LANGUAGES", "guess")

_COMMON = {
    "en": "the and of is what to how which for with that are was you from by does this have who if",
    "de": "der die und ist nicht ein eine das wie ich für mit auf den von zu welche sind wird oder",
    "fr": "le les et est une des pour dans que qui quel avec sur pas nous vous du quelle sont être",
    "es": "el los y es una por para qué cómo con las del está cuál son como pero más su",
    "it": "il che di è per non una sono con gli della nel quale come più anche cosa alla",
    "pt": "o os e uma não para com são do da em que qual mais como você ao é",
    "nl": "het een en van niet dat wat voor met op zijn hoe aan deze wordt naar",
}
_SCRIPTS = {
    "ru": (0xD0, 0xD1),
    "el": (0xCE, 0xCF),
    "he": (0xD7, 0xD7),
    "ar": (0xD8, 0xDB),
    "hi": (0xE0, 0xE0),
    "ja": (0xE3, 0xE3),
    "zh": (0xE4, 0xE9),
    "ko": (0xEA, 0xED),
}
"""Lead bytes in UTF-8 that most letters of a script share; Chinese wins over Japanese only without any kana."""

LANGUAGES = (*_COMMON, *_SCRIPTS)

_LISTS = WordLists(_COMMON.values())
_SCRIPT_SHARE = 0.15
"""Lead bytes of one script among all bytes from which on it tells; a letter has two or three bytes."""


def guess(text: Text, byte_counts: NDArray[np.int64]) -> str:
    """ISO 639-1 code, or `und`.

    Args:
        text: The text.
        byte_counts: How often each byte value occurs in it; shape (256,).
    """
    if int(byte_counts[0xC3:].sum()) > _SCRIPT_SHARE * len(text.data):
        shares = {code: int(byte_counts[low : high + 1].sum()) for code, (low, high) in _SCRIPTS.items()}
        code = max(shares, key=lambda c: shares[c])
        if shares[code] > _SCRIPT_SHARE * len(text.data):
            return "ja" if code == "zh" and shares["ja"] * 4 > shares["zh"] else code
    votes = _LISTS.counts(text.words)
    best = int(votes.argmax())
    return LANGUAGES[best] if votes[best] else "und"
