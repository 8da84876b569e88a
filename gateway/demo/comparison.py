"""What the traffic came to: who answered, and how much better that was than one model for everything. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import fmean, stdev

import msgspec
from scipy.special import stdtrit

from gateway.demo.recordings import MODELS, RecordedTask, UtilityPrices, best_fixed, utility

__all__ = ("AnsweredTask", "Comparison", "Difference", "against_best_fixed", "shares")

CONFIDENCE = 0.90


class AnsweredTask(msgspec.Struct, frozen=True, kw_only=True):
    """One request that was answered."""

    tenant: str
    task: RecordedTask
    variant: str
    """The model that answered."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A mean difference with its 90 % interval; no bounds where there is a single request."""

    mean: float
    low: float | None
    high: float | None
    requests: int


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Realised utility against the model that would have been best for all tasks."""

    best_fixed: str
    realised: float
    """Mean utility of the answers given."""
    fixed: float
    """Mean utility of the best fixed model's answers to the same requests."""
    difference: Difference
    last_third: Difference
    """The same over the latest third of the requests."""


def shares(answered: Sequence[AnsweredTask]) -> dict[str, float]:
    """The share of these requests that each model answered; zeros where there are none."""
    counts = Counter(answer.variant for answer in answered)
    return {model: counts[model] / len(answered) if answered else 0.0 for model in MODELS}


def against_best_fixed(
    answered: Sequence[AnsweredTask], tasks: Sequence[RecordedTask], prices: UtilityPrices
) -> Comparison | None:
    """Compare request by request: what every model answers to every task is recorded. None without requests.

    Args:
        answered: In the order in which they were asked.
        tasks: All tasks; the best fixed model is the best one over these.
        prices: What a dollar and a second are worth.
    """
    if not answered:
        return None
    best = best_fixed(tasks, prices)
    realised = [utility(answer.task, answer.variant, prices) for answer in answered]
    fixed = [utility(answer.task, best, prices) for answer in answered]
    gains = [ours - theirs for ours, theirs in zip(realised, fixed, strict=True)]
    return Comparison(
        best_fixed=best,
        realised=fmean(realised),
        fixed=fmean(fixed),
        difference=_difference(gains),
        last_third=_difference(gains[-max(1, len(gains) // 3) :]),
    )


def _difference(gains: Sequence[float]) -> Difference:
    mean, count = fmean(gains), len(gains)
    if count == 1:
        return Difference(mean=mean, low=None, high=None, requests=1)
    margin = float(stdtrit(count - 1, (1.0 + CONFIDENCE) / 2.0)) * stdev(gains) / math.sqrt(count)
    return Difference(mean=mean, low=mean - margin, high=mean + margin, requests=count)
