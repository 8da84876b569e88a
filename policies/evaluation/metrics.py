"""How well a router tells which requests need the strong variant, and what it leaves to an oracle.

PGR, the performance gap recovered, is `(q_router - q_weak) / (q_strong - q_weak)`; APGR is its mean as the strong
variant's share of the calls goes from 0 to 1, CPT the share that a given PGR needs (Ong et al., RouteLLM, 2024).
Rows of equal score are taken in random order, in expectation: a constant score is the random router, with APGR 0.5.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ("apgr", "cpt", "curve", "pgr", "regret_to_oracle")

F64 = NDArray[np.float64]

DECILES = 10


def pgr(quality: float, *, weak: float, strong: float) -> float:
    """Share of the gap between the mean qualities of weak and strong that a router recovers; above 1 where it gains.

    Raises:
        ValueError: Strong is not better than weak: there is no gap.
    """
    if not weak < strong:
        raise ValueError("the strong variant must be better than the weak one")
    return (quality - weak) / (strong - weak)


def curve(scores: F64, *, weak: F64, strong: F64, steps: int = DECILES) -> tuple[F64, F64]:
    """The strong variant's share of calls and the mean quality at it, from all weak to all strong.

    Args:
        scores: Preference for the strong variant; shape (n,). Only their order counts.
        weak: Quality of the weak variant's answer; shape (n,).
        strong: Quality of the strong variant's answer; shape (n,).
        steps: Equal steps of the share: 10 puts the thresholds at the deciles of the scores.

    Returns:
        Shares and qualities; shape (steps + 1,) each.

    Raises:
        ValueError: The shapes differ, there are no rows, or a score is `nan`.
    """
    if not len(scores) == len(weak) == len(strong) > 0 or np.isnan(scores).any():
        raise ValueError("scores, weak and strong must have one number per row, and rows")
    _, group, size = np.unique(-scores, return_inverse=True, return_counts=True)
    gain = np.bincount(group, weights=strong - weak, minlength=len(size))
    calls = np.concatenate(([0.0], np.cumsum(size)))
    gained = np.concatenate(([0.0], np.cumsum(gain)))
    shares = np.linspace(0.0, 1.0, steps + 1)
    return shares, weak.mean() + np.interp(shares * len(scores), calls, gained) / len(scores)


def apgr(scores: F64, *, weak: F64, strong: F64) -> float:
    """Mean PGR over the share of strong calls: trapezoid of quality over share at the deciles of the scores.

    The area of always-weak is taken off, and the rest divided by what always-strong has above always-weak. About 0.5
    for random scores; an oracle can exceed 1.

    Raises:
        ValueError: See `curve` and `pgr`.
    """
    shares, qualities = curve(scores, weak=weak, strong=strong)
    area = float(np.trapezoid(qualities, shares))
    return pgr(area, weak=float(weak.mean()), strong=float(strong.mean()))


def cpt(scores: F64, *, weak: F64, strong: F64, recovered: float) -> float:
    """Call-performance threshold: the smallest share of strong calls whose PGR is `recovered`, in [0, 1].

    Linearly interpolated between the deciles of the scores; CPT(50 %) is `recovered=0.5`.

    Raises:
        ValueError: `recovered` is outside [0, 1]; see also `curve` and `pgr`.
    """
    if not 0.0 <= recovered <= 1.0:
        raise ValueError("recovered must lie in [0, 1]")
    shares, qualities = curve(scores, weak=weak, strong=strong)
    low, high = float(weak.mean()), float(strong.mean())
    reached = np.array([pgr(float(quality), weak=low, strong=high) for quality in qualities])
    first = int(np.argmax(reached >= recovered - 1e-12))
    if first == 0:
        return 0.0
    below, above = reached[first - 1], reached[first]
    return float(np.interp(recovered, (below, above), (shares[first - 1], shares[first])))


def regret_to_oracle(utilities: F64, chosen: NDArray[np.intp]) -> float:
    """Mean utility that a chooser leaves to one who knows all outcomes.

    Args:
        utilities: What each variant's answer turned out to be worth; shape (n, k).
        chosen: Number of the variant that was taken; shape (n,).
    """
    taken = np.take_along_axis(utilities, chosen[:, None], axis=1)[:, 0]
    return float((utilities.max(axis=1) - taken).mean())
