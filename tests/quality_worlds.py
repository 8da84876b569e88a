"""Small worlds in which a prompt's words and a request's tenant decide which variant answers well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.features.extract import extract
from policies.features.types import Features, Prompt

__all__ = ("NAMES", "Judgements", "World", "world")

NAMES = ("full", "quantized", "distilled")
TOPICS = {
    "sum": ((0.9, 0.8, 0.2), "add the numbers seven and nine then tell the total amount"),
    "poem": ((0.8, 0.8, 0.7), "write verses about rivers meadows and the evening wind"),
    "code": ((0.7, 0.4, 0.1), "fix this function whose loop never ends and explain the bug"),
}
TENANTS = {"acme": 0.0, "initech": -0.15}


@dataclass(frozen=True)
class Judgements:
    """Judged answers, one to each of n requests."""

    variant: NDArray[np.int64]
    """Place in `NAMES`."""
    score: NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """n requests and what each variant's answer is truly worth on average."""

    features: list[Features]
    truth: NDArray[np.float64]
    """Shape (n, 3)."""

    def judged(self, *, seed: int) -> Judgements:
        """One answer to each request, by a variant at random, found good or bad."""
        rng = np.random.default_rng(seed)
        rows = np.arange(len(self.features))
        variant = rng.integers(len(NAMES), size=len(rows))
        score = (rng.random(len(rows)) < self.truth[rows, variant]).astype(float)
        return Judgements(variant=variant, score=score)


def world(n: int, *, seed: int) -> World:
    """Draw requests: a topic, a tenant, some of the topic's words."""
    rng = np.random.default_rng(seed)
    features, truth = [], []
    for _ in range(n):
        goods, words = TOPICS[rng.choice(list(TOPICS))]
        tenant = str(rng.choice(list(TENANTS)))
        text = " ".join(rng.choice(words.split(), size=6))
        features.append(extract(Prompt(text=text, tenant=tenant)))
        truth.append(np.clip(np.array(goods) + TENANTS[tenant], 0.0, 1.0))
    return World(features=features, truth=np.array(truth))
