"""What one request must meet: how much speed, cost and accuracy matter, and the limits that are never traded."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = ("Limits", "NonNegative", "Objective", "Ratio", "Weights")

NonNegative = Annotated[float, Meta(ge=0)]
Ratio = Annotated[float, Meta(ge=0, le=1)]


class Weights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much speed, cost and accuracy matter against each other; only their ratios count.

    `cost / accuracy` is the price of a dollar in units of the tenant's own frontier: at 1 the cheapest variant and
    the best one are worth the same, at 0.5 half of that price is paid. `speed / accuracy` is the price of a second
    likewise.
    """

    speed: NonNegative = 0.0
    """Weight of a short latency."""
    cost: NonNegative = 0.0
    """Weight of a low cost."""
    accuracy: NonNegative = 0.0
    """Weight of a good answer."""
    keep: Annotated[float, Meta(gt=0, le=1)] | None = None
    """Quality above this share of the best variant's counts nothing; None counts all of it."""

    def __post_init__(self) -> None:
        """At least one must count, and all must be numbers that can be compared."""
        if not 0 < self.speed + self.cost + self.accuracy < math.inf:
            raise ValueError("at least one of speed, cost and accuracy must be above 0, and all finite")


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hard limits; a candidate predicted to break one is excluded. None means no limit."""

    ttft_s: Annotated[float, Meta(gt=0)] | None = None
    """Seconds to the first token, at most."""
    latency_s: Annotated[float, Meta(gt=0)] | None = None
    """Seconds to the last token, at most."""
    max_cost_usd: Annotated[float, Meta(gt=0)] | None = None
    """US dollars for the request, at most."""
    min_quality: Ratio | None = None
    """Predicted quality of the answer, at least."""

    def tightened(self, other: Limits) -> Limits:
        """The stricter of both in every field: a request may tighten, never loosen."""
        return Limits(
            ttft_s=_least(self.ttft_s, other.ttft_s),
            latency_s=_least(self.latency_s, other.latency_s),
            max_cost_usd=_least(self.max_cost_usd, other.max_cost_usd),
            min_quality=_greatest(self.min_quality, other.min_quality),
        )


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """What one request must meet: weights, plus hard limits."""

    weights: Weights
    limits: Limits = Limits()
    stated_by: Literal["policy", "request"] = "policy"
    """Whose weights they are: a rule may replace those a policy has behind a hint, never the caller's own."""


def _least(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else min(a, b)


def _greatest(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else max(a, b)
