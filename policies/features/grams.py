"""Hashed n-grams of a text, by array arithmetic over its bytes.

A run of bytes is hashed as a polynomial in an odd base modulo 2**64. Prefix sums make every run's hash a difference,
and the base's inverse shifts it to where it would be at the start of the text, so that equal runs have equal hashes
wherever they stand (Karp and Rabin, 1987). No loop runs over characters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.features.layout import GRAM_BUCKETS, MAX_TEXT_BYTES

__all__ = ("Text", "buckets", "read", "word_hash")

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

_FOLD = np.arange(256, dtype=np.uint8)
_FOLD[ord("A") : ord("Z") + 1] += 32
_IN_WORD = np.zeros(256, dtype=bool)
for _first, _last in ((ord("0"), ord("9")), (ord("a"), ord("z")), (128, 255)):
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
    folded = _FOLD[data]
    prefix = np.zeros(len(data) + 1, np.uint64)
    np.cumsum((folded + np.uint64(1)) * _UP[: len(data)], out=prefix[1:])
    inside = np.zeros(len(data) + 2, np.int8)
    inside[1:-1] = _IN_WORD[folded]
    edges = np.flatnonzero(np.diff(inside))
    starts, ends = edges[::2], edges[1::2]
    return Text(data, prefix, (prefix[ends] - prefix[starts]) * _DOWN[starts])


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
    found = np.sort(_scattered(hashes))
    if not len(found):
        return found, np.zeros(0, np.float32)
    firsts = np.flatnonzero(np.concatenate(([True], found[1:] != found[:-1])))
    counts = np.diff(firsts, append=len(found)).astype(np.float32)
    return found[firsts], counts


def _scattered(hashes: U64) -> NDArray[np.uint16]:
    """The top bits of the hashes once they are mixed well (the finaliser of splitmix64)."""
    mixed = hashes ^ (hashes >> np.uint64(30))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    return (mixed >> _SHIFT).astype(np.uint16)
