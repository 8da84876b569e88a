"""What a policy document comes to once it is compiled: all that a decision reads of it. Frozen; named by its hash."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from policies.objective import Limits, NonNegative, Ratio, Weights

__all__ = (
    "Budget",
    "Cascade",
    "Exploration",
    "ExplorationMethod",
    "Formula",
    "Hedge",
    "LearnedUse",
    "Match",
    "Policy",
    "Rule",
    "Then",
    "Trial",
)

Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]


class Formula(StrEnum):
    """How weights become a utility."""

    LINEAR = "linear"
    """`policies.valuation`: quality less linear prices, set on the tenant's own frontier."""
    RATIO = "ratio"
    """Shares of the cheapest and the fastest candidate; what documents of schema version 1 mean."""


class LearnedUse(StrEnum):
    """Whether a policy decides with what was learned."""

    IN_FORCE = "in_force"
    """With the estimators in force, whichever those are when a request comes."""
    NONE = "none"
    """With cards and stated figures alone: `estimators: none`."""


class ExplorationMethod(StrEnum):
    """How a choice is spread over the feasible candidates. Every one of them returns its whole distribution."""

    EPSILON_SOFTMAX = "epsilon_softmax"
    THOMPSON = "thompson"


class Exploration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much is tried that is not thought best, always among the feasible candidates only."""

    method: ExplorationMethod = ExplorationMethod.THOMPSON
    """`thompson` follows how uncertain the variants' levels are, `epsilon_softmax` the utilities."""
    epsilon: Ratio = 0.01
    """Share spread evenly over the feasible warm candidates: epsilon / n is the floor of each one's propensity."""
    temperature: NonNegative = 0.0
    """Of the softmax on utility that the rest follows; 0 is the argmax. Not read by `thompson`."""
    draws: Annotated[int, Meta(ge=16, le=4096)] = 128
    """Posterior draws behind the propensities of `thompson`; their shares are the distribution sampled from."""
    scale: NonNegative = 0.7
    """`thompson`: factor on the standard deviation of a variant's level."""
    caution: NonNegative = 0.5
    """`thompson`: standard deviations by which a request must set a variant apart before it counts."""
    first: Annotated[int, Meta(ge=0, le=100)] = 3
    """`thompson`: answers that every variant gets early, unless its price rules it out already."""


class Match(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a rule applies: every stated condition holds. A list holds when any of its entries does."""

    tenant: tuple[str, ...] | None = None
    """Any of these tenants."""
    tags: dict[str, tuple[str, ...]] = {}
    """The request has every tag named here, with any of the values listed for it."""
    hint: tuple[str, ...] | None = None
    """Any of these hints (`speed`, `cost`, `accuracy`, `balanced`), given by name."""
    service_tier: tuple[str, ...] | None = None
    """Any of `auto`, `default`, `flex`, `priority`; a request that asks for none is `default`."""
    language: tuple[str, ...] | None = None
    """Any of these guessed languages, as ISO 639-1 codes; `und` where it cannot be told."""
    needs: tuple[str, ...] | None = None
    """Any of these capabilities is required: `tools`, `json_schema`, `logprobs`."""
    min_prompt_tokens: Annotated[int, Meta(ge=0)] | None = None
    """The prompt has at least so many tokens, as estimated."""
    max_prompt_tokens: Annotated[int, Meta(ge=0)] | None = None
    """The prompt has at most so many tokens, as estimated."""


class Then(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a rule does."""

    include: tuple[str, ...] | None = None
    """Only these variants may answer."""
    exclude: tuple[str, ...] = ()
    """These variants may not answer."""
    prefer: dict[str, Annotated[float, Meta(ge=-1, le=1)]] = {}
    """Added to the utility of a variant."""
    limits: Limits = Limits()
    """Tighten the request's limits."""
    weights: Weights | None = None
    """Used where the request gives no weights of its own."""
    quality_confidence: Annotated[float, Meta(ge=0.5, lt=1)] | None = None
    """A floor holds only if the quality is above it with this probability; None compares the mean."""
    cascade: bool = False
    """Allows to start with a cheaper variant and to escalate."""
    hedge: bool = False
    """Allows to send a duplicate of a slow request to another variant."""
    semantic_cache: bool = False
    """Allows answers to prompts that mean the same, for a tenant that wants them; without a rule they are allowed."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule; of several the first that matches applies, alone."""

    name: str
    """Names the rule in explanations; distinct within a document."""
    match: Match = Match()
    """Which requests it takes; without conditions it takes all."""
    then: Then = Then()
    """What it does with them."""


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tenant may spend, smoothed over the period."""

    usd: Positive
    """US dollars per period, or per request where there is no period."""
    period_s: Positive | None = None
    """Seconds over which the spend is smoothed."""


class Cascade(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Start cheap, escalate when the first answer is not confident enough. Only where a rule allows it."""

    first: str
    """The variant that is asked first."""
    then: str
    """The variant that is asked when the first answer will not do."""
    threshold: Ratio | None = None
    """Confidence (`exp` of the mean token log-probability) below which is escalated; `trilemma train` learns it."""
    checks: bool = True
    """Also escalate when a programmatic check of the request fails."""
    escalates: Ratio = 0.5
    """Share of the requests that the threshold is expected to escalate."""
    recovers: Ratio = 0.5
    """Share of the quality between the first and the second variant that this is expected to win back."""


class Hedge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A duplicate sent after a delay, under a rate cap; kept for the caller of variants."""

    after_quantile: Ratio = 0.95
    """Quantile of the predicted latency after which the duplicate is sent."""
    max_share: Ratio = 0.05
    """Of all requests, at most, that are sent twice."""


class Trial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A variant on trial: it inherits its parent's estimate and is tried a bounded number of times."""

    variant: str
    """The one on trial."""
    parent: str | None = None
    """The variant whose estimates it starts from."""
    share: Ratio = 0.05
    """Of the requests for which it is feasible, until it has had `requests`."""
    requests: Count = 200
    """After so many the trial is over and its own estimates decide."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a policy document that a decision reads."""

    hash: str
    """Content hash, named by every decision."""
    priorities: dict[str, Weights]
    """The weights behind each named hint."""
    formula: Formula = Formula.LINEAR
    """How weights become a utility."""
    rules: tuple[Rule, ...] = ()
    exploration: Exploration = Exploration()
    budgets: dict[str, Budget] = {}
    """By tenant; `*` is every tenant without one of its own, each for itself."""
    cascade: Cascade | None = None
    hedge: Hedge | None = None
    trials: tuple[Trial, ...] = ()
    fallback: tuple[str, ...] = ()
    """Static order used when estimates cannot be trusted."""
    estimators: dict[str, str] = {}
    """Content hash of each pinned estimator by kind; a kind that is not named follows what was learned last."""
    learning: LearnedUse = LearnedUse.IN_FORCE
    """Whether predictions come from what was learned."""
