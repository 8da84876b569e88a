"""The one layout of the features. What was logged or fitted in it can be read only in it, so it has a version."""

from __future__ import annotations

import hashlib

__all__ = ("GRAM_BUCKETS", "GROUP_BUCKETS", "MAX_TEXT_BYTES", "SURFACE", "VERSION")

REVISION = 1
"""Raised whenever the extraction changes for any text, so that old weights are never read with new features."""

GRAM_BUCKETS = 65_536
"""Hash buckets of word unigrams, word bigrams and byte 4-grams together."""

GROUP_BUCKETS = 4096
"""Hash buckets of tenant, tags, language and hint."""

MAX_TEXT_BYTES = 8192
"""Of a longer text the first and the last half of this are read."""

SURFACE = (
    "length",
    "words",
    "word_length",
    "distinct_words",
    "digits",
    "digit_share",
    "numbers",
    "longest_number",
    "lines",
    "questions",
    "question_words",
    "negations",
    "math",
    "money",
    "commas",
    "full_stops",
    "upper_share",
    "non_ascii_share",
    "code",
    "turns",
    "tools",
)
"""Names of the surface features, in their order."""

VERSION = hashlib.sha256(repr((REVISION, GRAM_BUCKETS, GROUP_BUCKETS, MAX_TEXT_BYTES, SURFACE)).encode()).hexdigest()[
    :12
]
"""Names the layout, in the log and in every fitted estimator."""
