"""From a request to its features."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np

from policies.features.grams import buckets, read
from policies.features.language import guess
from policies.features.layout import GROUP_BUCKETS
from policies.features.surface import surface
from policies.features.types import Features, Prompt

__all__ = ("extract", "group")


def extract(prompt: Prompt) -> Features:
    """The features of a prompt; about a tenth of a millisecond for two thousand characters."""
    text = read(prompt.text)
    byte_counts = np.bincount(text.data, minlength=256)
    grams, counts = buckets(text)
    language = guess(text, byte_counts)
    belongs = [("tenant", prompt.tenant), ("language", language), ("hint", prompt.hint or "")]
    belongs += [(f"tag:{name}", value) for name, value in prompt.tags.items()]
    return Features(
        grams=grams,
        counts=counts,
        surface=surface(text, byte_counts, turns=prompt.turns, tools=prompt.tools),
        groups=np.array(sorted({group(kind, value) for kind, value in belongs}), np.uint16),
        language=language,
    )


@lru_cache(maxsize=4096)
def group(kind: str, value: str) -> int:
    """Bucket of one thing a request belongs to."""
    digest = hashlib.blake2b(f"{kind}\0{value}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") % GROUP_BUCKETS
