"""Fitted estimators made by hand, and the features of one prompt."""

from __future__ import annotations

import numpy as np

from policies.estimators.artifact import Artifact
from policies.estimators.latency import CARD_TPOT, CARD_TTFT
from policies.estimators.length import QUANTILES
from policies.features.extract import extract
from policies.features.layout import GROUP_BUCKETS, SURFACE, VERSION
from policies.features.types import Prompt

__all__ = ("FEATURES", "latency_artifact", "length_artifact")

FEATURES = extract(Prompt(text="How many legs do 12 spiders have?", tenant="zoo", tags={"kind": "sums"}))


def length_artifact(*variants: str, tokens: float = 100.0) -> Artifact:
    """Every answer takes as many tokens, give or take a half."""
    k, s = len(variants), len(SURFACE)
    arrays = {
        "surface_mean": np.zeros(s),
        "surface_sd": np.ones(s),
        "surface": np.zeros((s, k)),
        "groups": np.zeros((GROUP_BUCKETS, k)),
        "bias": np.full(k, np.log(tokens)),
        "spread": np.tile(np.log(np.linspace(0.5, 1.5, QUANTILES)), (k, 1)),
        "high": np.full(k, np.log(1.5)),
        "cap_tokens": np.full(k, 512.0),
    }
    return _artifact("length", variants, arrays)


def latency_artifact(*variants: str) -> Artifact:
    """The median takes twice as long as the card says, the upper quantile three times."""
    by = np.array([2.0, 3.0])[:, None, None]
    k = len(variants)
    arrays = {
        "ttft": by * np.tile(np.array(CARD_TTFT)[:, None], (1, 1, k)),
        "tpot": by * np.tile(np.array(CARD_TPOT)[:, None], (1, 1, k)),
        "stretch": np.ones(k),
    }
    return _artifact("latency", variants, arrays)


def _artifact(kind: str, variants: tuple[str, ...], arrays: dict[str, np.ndarray]) -> Artifact:
    narrow = {name: array.astype(np.float32) for name, array in arrays.items()}
    return Artifact(kind=kind, layout=VERSION, variants=variants, arrays=narrow)
