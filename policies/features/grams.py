"""Hashed n-grams of a text, by array arithmetic over its bytes.

A run of bytes is hashed as a polynomial in an odd base modulo 2**64. Prefix sums make every run's hash a difference,
and the base's inverse shifts it to where it would be at the start of the text, so that equal runs have equal hashes
wherever they stand (Karp and Rabin, 1987). No loop runs over characters.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.features.layout import GRAM_BUCKETS, MAX_TEXT_BYTES

__all__ = ("Text", "WordLists", "buckets", "read", "spans", "word_hash")

U64 = NDArray[np.uint64]

_BYTE_GRAM = 4
_BASE = 1_099_511_628_211
_ONE, _MODULUS = 1, 2**64
_SHIFT = np.uint64(64 - (GRAM_BUCKETS - 1).bit_length())


def _powers(base: int) -> U64:
    factors = np.full(MAX_TEXT_BYTES + 1, base, np.uint64)
    factors[0] = _ONE
    return np.cumprod(factors)


_UP = _powers(_BASE)
_DOWN = _powers(pow(_BASE, -1, _MODULUS))

_CODE = np.arange(1, 257, dtype=np.uint64)
"""What a byte enters a hash as: letters in lower case, and nothing as 0."""
_CODE[ord("A") : ord("Z") + 1] += np.uint64(32)
_IN_WORD = np.zeros(256, dtype=bool)
for _first, _last in ((ord("0"), ord("9")), (ord("A"), ord("Z")), (ord("a"), ord("z")), (128, 255)):
    _IN_WORD[_first : _last + 1] = True


class Text(NamedTuple):
    """A text as arrays."""

    data: NDArray[np.uint8]
    """Its bytes as written."""
    prefix: U64
    """Hash of everything before each position of the text in lower case; shape (len(data) + 1,)."""
    words: U64
    """Hash of each word in lower case, in order."""


def read(text: str) -> Text:
    """The arrays of a text, of which at most `MAX_TEXT_BYTES` are read."""
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) > MAX_TEXT_BYTES:
        half = MAX_TEXT_BYTES // 2
        encoded = encoded[:half] + encoded[-half:]
    data = np.frombuffer(encoded, np.uint8)
    prefix = np.zeros(len(data) + 1, np.uint64)
    (_CODE.take(data) * _UP[: len(data)]).cumsum(out=prefix[1:])
    starts, ends = spans(data, _IN_WORD)
    return Text(data, prefix, (prefix.take(ends) - prefix.take(starts)) * _DOWN.take(starts))


def spans(data: NDArray[np.uint8], members: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where each longest run of bytes of one kind starts, and where it has ended.

    Args:
        data: Bytes.
        members: Which of the byte values are of the kind; shape (256,).
    """
    inside = np.zeros(len(data) + 2, np.bool_)
    inside[1:-1] = members.take(data)
    (edges,) = (inside[1:] != inside[:-1]).nonzero()
    return edges[::2], edges[1::2]


def word_hash(word: str) -> int:
    """The hash that `read` gives to a lower-case word."""
    return sum((byte + 1) * pow(_BASE, i, _MODULUS) for i, byte in enumerate(word.encode())) % _MODULUS


def buckets(text: Text) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Distinct buckets of the text's n-grams in rising order, and how many n-grams fell into each."""
    words, prefix = text.words, text.prefix
    runs = (prefix[_BYTE_GRAM:] - prefix[:-_BYTE_GRAM]) * _DOWN[: max(0, len(prefix) - _BYTE_GRAM)]
    hashes = np.concatenate(
        (
            words * np.uint64(3) + np.uint64(1),
            words[:-1] * np.uint64(0x9E3779B97F4A7C15) + words[1:] * np.uint64(5) + np.uint64(2),
            runs * np.uint64(7) + np.uint64(3),
        )
    )
    found = _scattered(hashes)
    found.sort()
    changes = np.ones(len(found) + 1, np.bool_)
    changes[1:-1] = found[1:] != found[:-1]
    (bounds,) = changes.nonzero()
    return found.take(bounds[:-1]), (bounds[1:] - bounds[:-1]).astype(np.float32)


def _scattered(hashes: U64) -> NDArray[np.uint16]:
    """The top bits of the hashes once they are mixed well (the finaliser of splitmix64)."""
    mixed = hashes ^ (hashes >> np.uint64(30))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    return (mixed >> _SHIFT).astype(np.uint16)


class WordLists:
    """Tells how many of a text's words are on each of some lists; a word is counted for the first it is on."""

    def __init__(self, lists: Iterable[str]) -> None:
        """Take lists of lower-case words, each in one string."""
        ranks: dict[int, int] = {}
        for rank, words in enumerate(lists):
            self._size = rank + 1
            for word in words.split():
                ranks.setdefault(word_hash(word), rank)
        self._hashes = np.array(sorted(ranks), np.uint64)
        self._ranks = np.array([ranks[number] for number in sorted(ranks)])

    def counts(self, words: U64) -> NDArray[np.intp]:
        """How many of the words are on each list."""
        places = self._hashes.searchsorted(words)
        places[places == len(self._hashes)] = 0
        return np.bincount(self._ranks[places[self._hashes.take(places) == words]], minlength=self._size)
