"""What figures of learning are computed from: decided requests, with what was predicted and what came of it."""

from __future__ import annotations

import msgspec

from policies.prices import NO_PRICES, Prices
from policies.types import Estimate, Verdict
from policies.valuation import Valuation

__all__ = ("Realised", "RoutedRequest", "counted_shares", "utility")


class Realised(msgspec.Struct, frozen=True, kw_only=True):
    """What one answer was like, of a request that its choice answered at the first attempt.

    An answer that a cascade judged is none: which ones it passes on depends on how good they are.
    """

    cost_usd: float
    latency_s: float
    ttft_s: float | None = None
    """Of a streamed answer."""
    quality: float | None = None
    """What its judgements come to, in [0, 1]; None where there are none."""


class RoutedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One decision of the log."""

    created_at_s: float
    """Unix time."""
    tenant: str
    hint: str | None
    choice: str
    verdicts: tuple[Verdict, ...]
    """What was predicted of each candidate, and the probability with which it was going to be chosen."""
    forced: bool = False
    """Whether the choice was an early answer that its variant needed."""
    pinned: bool = False
    """Whether the request named the variant."""
    valuation: Valuation | None = None
    """What quality, dollars and seconds were worth to the request; None where the objective was not linear."""
    prices: Prices = NO_PRICES
    """What the constraints of its tenant added to that."""
    realised: Realised | None = None
    """None where the request was not answered, or not by its choice alone."""

    @property
    def chosen(self) -> Verdict | None:
        """The verdict on the choice."""
        return next((verdict for verdict in self.verdicts if verdict.variant == self.choice), None)

    def predicted(self, variant: str) -> Estimate | None:
        """What was predicted of a variant; None where nothing was."""
        return next((verdict.estimate for verdict in self.verdicts if verdict.variant == variant), None)


def counted_shares(request: RoutedRequest) -> dict[str, float]:
    """Share of each variant's quality that counts under `keep`, in [0, 1], by what was predicted.

    `min(quality, keep * best)` is about a variant's expected quality and means nothing for the score of one answer.
    Scores multiplied by this share have that expectation wherever the prediction is right.
    """
    qualities = {v.variant: v.estimate.quality for v in request.verdicts if v.estimate is not None}
    keep = None if request.valuation is None else request.valuation.keep
    if keep is None:
        return dict.fromkeys(qualities, 1.0)
    enough = keep * max(qualities.values(), default=0.0)
    return {name: enough / quality if quality > enough else 1.0 for name, quality in qualities.items()}


def utility(
    request: RoutedRequest, *, quality: float, cost_usd: float, latency_s: float, counted: float = 1.0
) -> float:
    """What an answer is worth to a request, at its own valuation and the prices of its tenant's constraints.

    Without the latter, a tenant that runs out of money would seem better off with a variant that it cannot afford.
    Preferences of rules are left out: they are no property of an answer.

    Raises:
        ValueError: The request has no valuation.
    """
    valuation, prices = request.valuation, request.prices
    if valuation is None:
        raise ValueError("the request has no valuation")
    return (
        valuation.quality_weight * counted * quality
        - prices.per_quality * (1.0 - quality)
        - (valuation.per_usd + prices.per_usd) * cost_usd
        - (valuation.per_s + prices.per_s) * latency_s
    )
