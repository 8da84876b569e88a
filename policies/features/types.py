"""The features of one request, as every estimator reads them, and the request as the extraction reads it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ("Features", "Prompt")


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """All of a request that features are made from."""

    text: str
    """What was written, messages joined by line breaks."""
    turns: int = 1
    """Messages."""
    tools: int = 0
    """Tools offered."""
    tenant: str = "default"
    tags: Mapping[str, str] = {}
    hint: str | None = None
    """Named priority."""


class Features(msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False):
    """One request in the layout of `policies.features.layout`."""

    grams: NDArray[np.uint16]
    """Buckets of the n-grams that occur, distinct and rising; shape (n_grams,)."""
    counts: NDArray[np.float32]
    """How often each occurs; shape (n_grams,)."""
    surface: NDArray[np.float32]
    """Named features, each scaled to about [0, 1]; shape (len(SURFACE),)."""
    groups: NDArray[np.uint16]
    """Buckets of what the request belongs to: tenant, each tag, language, hint; shape (n_groups,)."""
    language: str = "und"
    """Guessed, as an ISO 639-1 code; `und` where it cannot be told."""
