"""The figures of learning, apart from how they are computed: what shows them needs no numerical library."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from policies.evaluation.interval import Interval

__all__ = (
    "MIN_ESS",
    "MIN_ROWS",
    "Block",
    "Compared",
    "Coverage",
    "ExplorationCost",
    "FixedComparison",
    "FixedVariant",
    "LearningFigures",
    "LeftOut",
    "ReliabilityBin",
    "Share",
    "Shares",
    "VariantFigures",
)


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of a variant, predicted and realised on the same answers."""

    rows: int
    predicted: float
    """Mean."""
    realised: float
    """Mean."""
    difference: float
    """Realised less predicted."""
    difference_se: float | None
    """Its standard error; None of a single answer."""
    ratio: float | None
    """Sum of what was realised over the sum of what was predicted; None where nothing but 0 was predicted."""
    ratio_se: float | None


class ReliabilityBin(msgspec.Struct, frozen=True, kw_only=True):
    """Judged answers of about the same predicted quality."""

    rows: int
    predicted: float
    realised: float
    interval: Interval
    """Of the realised mean, at 95 %."""


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """How many of some answers, and between what bounds that lies at 95 %."""

    share: float
    interval: Interval


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """How often a time stayed below what was predicted."""

    rows: int
    below_median: Share
    """Half of the answers, where predictions are right."""
    below_high: Share | None
    """95 % of the answers, where predictions are right; None where no upper quantile was predicted."""


class VariantFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What a variant was predicted to do and did. A figure that no answer tells of is None."""

    variant: str
    chosen: int
    """Requests that went to it, pinned ones included."""
    answered: int
    """Of those, answered by it alone: what all that follows is about."""
    judged: int
    quality: Compared | None
    cost_usd: Compared | None
    latency_s: Compared | None
    """Predictions of time are medians, so means of skewed times lie above them: see the coverage too."""
    ttft_s: Compared | None
    """Of streamed answers."""
    reliability: tuple[ReliabilityBin, ...]
    """By rising predicted quality."""
    latency_coverage: Coverage | None
    ttft_coverage: Coverage | None


MIN_ROWS = 50
"""Judged requests below which nothing is compared."""
MIN_ESS = 50.0
"""Effective rows of a variant below which its estimate is not used: `benchmarks/off_policy.py` says that intervals
cover as they say from about so many on."""


class LeftOut(StrEnum):
    """Why a request is not compared."""

    PINNED = "pinned"
    """It named its variant."""
    FORCED = "forced"
    """It was an early answer that its variant needed, and no draw."""
    NOT_JUDGED = "not_judged"
    """No judgement of its answer is known, or its choice did not answer alone."""
    NOT_LINEAR = "not_linear"
    """Its objective puts no price on money and time, so utilities cannot be added up."""
    NOT_PREDICTED = "not_predicted"
    """Its choice went by the static order, or its probabilities are not known."""


class FixedVariant(msgspec.Struct, frozen=True, kw_only=True):
    """Always taking one variant, and routing less that."""

    variant: str
    answers: int
    """Compared answers that are its own."""
    possible: float
    """Share of the requests for which it could have been chosen, in [0, 1]."""
    ess: float
    """Effective rows that tell of it, of those where one answer stands for at most `SWITCH_THRESHOLD` requests."""
    from_predictions: float
    """Share of the requests for which the prediction alone counts, in [0, 1]."""
    predicted: float
    """Routing less this variant, by the predictions of both."""
    told: bool
    """Whether the log can tell; where not, only the prediction says something."""
    utility: float
    """Mean over all compared requests."""
    difference: float
    """Routing less this variant: above 0 where routing is better."""
    interval: Interval
    """Of the difference, at 95 %."""
    family_interval: Interval
    """Of the difference, so wide that with 95 % all told variants' intervals hold at once."""


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Some compared requests that follow each other."""

    from_s: float
    until_s: float
    rows: int
    routed: float
    """Mean realised utility."""
    fixed: float
    """Estimated mean utility of the best fixed variant of the whole period."""
    difference: float
    interval: Interval
    """Of the difference, at 95 %."""


class FixedComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Routing against each fixed variant, over the requests that tell of it."""

    rows: int
    """Requests that are compared."""
    left_out: dict[LeftOut, int]
    utility: float | None
    """Realised mean; None where nothing is compared."""
    utility_se: float | None
    variants: tuple[FixedVariant, ...]
    """By falling estimate, those that the log can tell of first."""
    best: str | None
    """The told variant of the highest estimate; None where the log cannot tell of any."""
    worse_than: str | None
    """A fixed variant that is better than routing with 95 % confidence: a reason for alarm."""
    blocks: tuple[Block, ...]
    """Against the best one, oldest first."""

    @property
    def against_best(self) -> FixedVariant | None:
        """The comparison that counts."""
        return next((found for found in self.variants if found.variant == self.best), None)


class ExplorationCost(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over requests of the best candidate less the one chosen, so a positive figure is a loss.

    They are predictions. A variant that turns out better than was thought cost less than this says, and what was
    learned from it is not counted.
    """

    requests: int
    """Whose choice was left to the policy."""
    explored: int
    """Of those, not sent to the candidate of highest utility."""
    utility: float | None
    """Utility lost; None where some request had no linear objective, whose utilities cannot be added up."""
    quality: float
    usd: float
    """Dollars spent in addition; negative where exploring was cheaper."""
    s: float
    """Seconds of latency in addition."""

    @property
    def points_per_request(self) -> float | None:
        """Utility lost by the average request, in points: hundredths of the utility."""
        return None if self.utility is None else 100.0 * self.utility / max(1, self.requests)


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """Requests by variant and time; pinned ones are left out."""

    begins_s: tuple[float, ...]
    """Unix time at which each bin begins, in order."""
    width_s: float
    counts: dict[str, tuple[int, ...]]
    """Requests in each bin, by variant."""


class LearningFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What the decisions of a period say of the predictions and of the policy."""

    requests: int
    pinned: int
    """Of those, requests that named their variant; they tell of predictions, not of the policy."""
    forced: int
    """Of those, early answers that their variants needed."""
    answered: int
    """By their choice alone, at the first attempt."""
    judged: int
    variants: tuple[VariantFigures, ...]
    shares: Shares
    fixed: FixedComparison
    drawn_cost: ExplorationCost
    """What choosing by chance cost."""
    forced_cost: ExplorationCost
    """What early answers cost."""
