"""The values a decision is made from and the value it returns. All frozen; ratios lie in [0, 1]."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from policies.features.types import Features
from policies.objective import NonNegative, Objective, Ratio
from policies.prices import NO_PRICES, Prices
from policies.valuation import Valuation

__all__ = (
    "Candidate",
    "CandidateState",
    "CascadePlan",
    "Decision",
    "Estimate",
    "Exclusion",
    "ExclusionReason",
    "Profile",
    "RoutingRequest",
    "RuleScope",
    "Verdict",
)


class CandidateState(StrEnum):
    """Live state of a variant when the decision is made."""

    WARM = "warm"
    LOADING = "loading"
    COLD = "cold"
    UNAVAILABLE = "unavailable"


class ExclusionReason(StrEnum):
    """Why a candidate could not be chosen. Closed: it doubles as a metric label."""

    UNAVAILABLE = "unavailable"
    """Not built, failed, or draining."""
    NOT_REQUESTED = "not_requested"
    """The request pins another variant, or an alias leaves this one out."""
    RULE = "rule"
    """A rule of the policy leaves it out."""
    FAILED_BEFORE = "failed_before"
    """An earlier attempt of this request failed on it."""
    CONTEXT = "context"
    """Prompt and answer exceed its context."""
    CAPABILITY = "capability"
    """It lacks something the request needs."""
    TTFT = "ttft"
    """Its predicted time to first token breaks the limit."""
    LATENCY = "latency"
    """Its predicted latency breaks the limit."""
    COST = "cost"
    """Its predicted cost breaks the limit."""
    BUDGET = "budget"
    """Its predicted cost, or the most it may cost, is more than the tenant's budget has for one request now."""
    QUALITY = "quality"
    """Its predicted quality is below the floor."""


class RuleScope(msgspec.Struct, frozen=True, kw_only=True):
    """Which variants the rule that applies to a request leaves in."""

    rule: str
    """Its name."""
    include: tuple[str, ...] | None = None
    """Only these; None is all."""
    exclude: tuple[str, ...] = ()
    """None of these."""

    def bars(self, variant: str) -> bool:
        """Whether the rule leaves this variant out."""
        return variant in self.exclude or (self.include is not None and variant not in self.include)


class RoutingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision may know about a request."""

    objective: Objective
    prompt_tokens: int
    """Estimated, or counted where a count was cheap."""
    min_prompt_tokens: int = 1
    """What the prompt has at least: only this may exclude a candidate for its context, the rest is a guess."""
    max_completion_tokens: int | None = None
    """The caller's limit on the answer."""
    needs: frozenset[str] = frozenset()
    """Capabilities the answer requires."""
    checks: int = 0
    """Programmatic checks that its answer can be held against."""
    allowed: frozenset[str] | None = None
    """Variants the request may use; None is all, one is a pinned request."""
    scope: RuleScope | None = None
    """What the policy's rule leaves of them; None where no rule applies."""
    failed: frozenset[str] = frozenset()
    """Variants on which an earlier attempt of this request failed."""
    unaffordable: frozenset[str] = frozenset()
    """Variants that may cost more than the tenant's budget has left, whatever is predicted of them."""
    tenant: str = "default"
    tags: Mapping[str, str] = {}
    hint: str | None = None
    """Named priority; None where the request gave weights or nothing."""
    service_tier: str = "default"
    features: Features | None = None
    """None where nothing learned is in use."""
    now_s: float = 0.0
    """Unix time of the decision."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a variant before any traffic: its measured card or stated figures."""

    quality: Ratio
    quality_se: NonNegative = 0.0
    ttft_s: NonNegative
    """At `ttft_prompt_tokens`."""
    ttft_prompt_tokens: int = 60
    tpot_s: NonNegative
    tpot_slope_s: NonNegative = 0.0
    """Added to the time per output token for each further request decoded together."""
    prefill_tokens_per_s: Annotated[float, Meta(gt=0)] = 1000.0
    completion_tokens: Annotated[float, Meta(gt=0)] = 64.0
    """Mean answer length where the request does not limit it."""
    cold_start_s: NonNegative = 0.0
    source: Literal["card", "stated", "prior"] = "card"
    """`prior` when nothing was measured or stated: the estimate is a guess, and says so."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A variant plus its live state at decision time: the bandit's action."""

    name: str
    state: CandidateState
    profile: Profile
    context_tokens: int
    capabilities: frozenset[str] = frozenset()
    queued: int = 0
    running: int = 0
    max_running: int = 1
    unavailable_because: str | None = None
    """Why it is unavailable, where that is known; for a person."""
    starts_in_s: float | None = None
    """Seconds until a loading variant can answer, where known."""
    prompt_per_token_usd: NonNegative = 0.0
    completion_per_token_usd: NonNegative = 0.0
    compute_per_s_usd: NonNegative = 0.0


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate is predicted to do with one request."""

    quality: Ratio
    quality_se: NonNegative = 0.0
    """Standard error of the quality's mean, not of one answer's score; 0 where it is not known."""
    ttft_s: NonNegative
    """Median; cold start and queue included."""
    ttft_high_s: NonNegative | None = None
    """Upper quantile, held against the limit; None where only `ttft_s` is known."""
    tpot_s: NonNegative
    completion_tokens: NonNegative
    latency_s: NonNegative
    """Median."""
    latency_high_s: NonNegative | None = None
    """Upper quantile, held against the limit; None where only `latency_s` is known."""
    cost_usd: NonNegative

    @property
    def ttft_held_s(self) -> float:
        """What is held against a limit on the time to first token."""
        return self.ttft_s if self.ttft_high_s is None else self.ttft_high_s

    @property
    def latency_held_s(self) -> float:
        """What is held against a limit on the latency."""
        return self.latency_s if self.latency_high_s is None else self.latency_high_s


class Exclusion(msgspec.Struct, frozen=True, kw_only=True):
    """Why a candidate is out, with the two figures that say so."""

    reason: ExclusionReason
    detail: str
    """For a person: predicted value against limit."""


class CascadePlan(msgspec.Struct, frozen=True, kw_only=True):
    """One variant answers first; the other where that answer will not do."""

    first: str
    then: str
    threshold: Ratio | None
    """Confidence below which the first answer will not do; None leaves it to the checks."""
    checks: bool
    """Whether it will not do either when a programmatic check of the request fails."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the decision thought of one candidate."""

    variant: str
    state: CandidateState
    excluded_because: Exclusion | None
    estimate: Estimate | None
    utility: float | None
    """At the tenant's prices; None for an excluded candidate, unless only the budget excludes it."""
    propensity: Ratio
    """Probability with which it was going to be chosen; 0 for excluded ones and for cold ones that were not best."""
    queued: int = 0
    running: int = 0
    starts_in_s: float | None = None
    """Its load when it was decided, as `Candidate` has it: what the times that follow are learned from."""
    worth: float | None = None
    """Utility before the prices of the tenant's constraints, rule preferences included; None where `utility` is."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The choice, and everything needed to explain and evaluate it later."""

    choice: str | None
    """None when no candidate could be chosen at all."""
    verdicts: tuple[Verdict, ...]
    """One per candidate, in the order given."""
    violated: ExclusionReason | None = None
    """Set when nothing was feasible and the least violation was taken."""
    explored: bool = False
    """Whether the choice is not the one of highest utility."""
    rule: str | None = None
    """The policy's rule that applied."""
    prices: Prices = NO_PRICES
    """What dollars and seconds were worth."""
    cascade: CascadePlan | None = None
    """Set when choosing `cascade.first` means to escalate unless its answer is good enough."""
    fallback_used: bool = False
    """Whether the policy's static order decided, because estimates could not be trusted."""
    valuation: Valuation | None = None
    """What the objective made of quality, dollars and seconds; None where it was not linear."""
    forced: bool = False
    """Whether the choice is an early answer that its variant needed, and not a draw."""

    @property
    def propensities(self) -> dict[str, float]:
        """Probability by variant; sums to 1 unless `choice` is None."""
        return {verdict.variant: verdict.propensity for verdict in self.verdicts}
