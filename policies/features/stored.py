"""Features as the log keeps them: plain values, small, readable for as long as their layout is."""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import Any

import msgspec
import numpy as np

from policies.errors import FeaturesError
from policies.features.layout import GRAM_BUCKETS, GROUP_BUCKETS, SURFACE
from policies.features.types import Features

__all__ = ("from_stored", "to_stored")

_MAX_COUNT = 255
_MAX_BYTES = 3 * GRAM_BUCKETS


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    grams: str
    """Base64 of deflated gaps between buckets (uint16), then counts (uint8, at most 255)."""
    surface: list[float]
    groups: list[int]
    language: str


def to_stored(features: Features) -> dict[str, Any]:
    """Plain values for a JSON column; the prompt cannot be read back from them."""
    gaps = np.diff(features.grams, prepend=np.uint16(0)).astype("<u2")
    counts = np.minimum(features.counts, _MAX_COUNT).astype(np.uint8)
    packed = zlib.compress(gaps.tobytes() + counts.tobytes(), level=1)
    return {
        "grams": base64.b64encode(packed).decode(),
        "surface": [round(float(value), 5) for value in features.surface],
        "groups": features.groups.tolist(),
        "language": features.language,
    }


def from_stored(stored: dict[str, Any]) -> Features:
    """Read what `to_stored` wrote; counts above 255 come back as 255.

    Raises:
        FeaturesError: It is not that.
    """
    try:
        values = msgspec.convert(stored, type=_Stored)
        packed = base64.b64decode(values.grams, validate=True)
        inflate = zlib.decompressobj()
        data = inflate.decompress(packed, _MAX_BYTES)
    except (msgspec.ValidationError, ValueError, binascii.Error, zlib.error) as error:
        raise FeaturesError(f"stored features cannot be read: {error}") from None
    size, rest = divmod(len(data), 3)
    groups = np.array(values.groups, np.int64)
    if rest or not inflate.eof or len(values.surface) != len(SURFACE):
        raise FeaturesError("stored features have the wrong size")
    if len(groups) and not (groups.min() >= 0 and groups.max() < GROUP_BUCKETS):
        raise FeaturesError(f"stored groups must lie in [0, {GROUP_BUCKETS})")
    gaps = np.frombuffer(data, "<u2", count=size)
    return Features(
        grams=np.cumsum(gaps, dtype=np.uint16),
        counts=np.frombuffer(data, np.uint8, offset=2 * size).astype(np.float32),
        surface=np.array(values.surface, np.float32),
        groups=groups.astype(np.uint16),
        language=values.language,
    )
