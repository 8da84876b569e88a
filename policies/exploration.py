"""From utilities to probabilities, and from probabilities to a choice. The probabilities are exact and are logged."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

__all__ = ("epsilon_softmax", "sample")


def epsilon_softmax(
    utilities: Sequence[float], *, epsilon: float, temperature: float, explorable: Sequence[bool]
) -> list[float]:
    """`(1 - epsilon) * softmax(utilities / temperature) + epsilon * uniform(explorable)`.

    One that is not explorable takes part in the softmax only if it is among the best: it is chosen on merit or not
    at all.

    Args:
        utilities: Finite, one per feasible candidate, at least one.
        epsilon: Share of the uniform part, in [0, 1]: each explorable candidate has at least epsilon / n.
        temperature: Above 0 a softmax; 0 puts its share on the best, ties sharing it evenly.
        explorable: Which candidates may be chosen without being the best; if none, there is no uniform part.

    Returns:
        Probabilities that sum to 1.
    """
    best = max(utilities)
    if temperature > 0.0:
        weights = [
            math.exp((u - best) / temperature) if may or u == best else 0.0
            for u, may in zip(utilities, explorable, strict=True)
        ]
    else:
        weights = [1.0 if u == best else 0.0 for u in utilities]
    total, reach = sum(weights), sum(explorable)
    uniform = epsilon if reach else 0.0
    return [
        (1.0 - uniform) * weight / total + (uniform / reach if may else 0.0)
        for weight, may in zip(weights, explorable, strict=True)
    ]


def sample(probabilities: Sequence[float], rng: np.random.Generator) -> int:
    """Index drawn with these probabilities, by inverting their cumulative sum; never one of probability 0."""
    point, cumulative, last = rng.random(), 0.0, 0
    for index, probability in enumerate(probabilities):
        if probability > 0.0:
            cumulative += probability
            last = index
            if point < cumulative:
                return index
    return last
