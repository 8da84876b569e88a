"""Fitted estimators made by hand, and the features of one prompt."""

from __future__ import annotations

import numpy as np

from policies.estimators.artifact import Artifact
from policies.estimators.latency import CARD_TPOT, CARD_TTFT
from policies.features.extract import extract
from policies.features.layout import VERSION
from policies.features.types import Prompt
from policies.learner.fit import first_fit

__all__ = ("FEATURES", "answers_artifact", "latency_artifact")

FEATURES = extract(Prompt(text="How many legs do 12 spiders have?", tenant="zoo", tags={"kind": "sums"}))


def answers_artifact(*variants: str, rows: int = 100) -> Artifact:
    """The first fit, as if so many rows had been read for it."""
    return first_fit().to_artifact(variants=variants, facts={"rows": rows})


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
