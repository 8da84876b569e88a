"""Requests of the log that can tell of another policy than that which decided them, and what to decide them on."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from gateway.decisions.types import DecisionRow, Ending, OutcomeRow, Record
from policies.documents.lenient import convert_known
from policies.errors import FeaturesError
from policies.evaluation.routed import RoutedRequest, counted_shares, utility
from policies.features.layout import VERSION
from policies.features.stored import from_stored
from policies.features.types import Features
from policies.objective import Limits, Objective, Weights
from policies.policy import Formula, Policy
from policies.prices import NO_PRICES, Prices
from policies.priorities import DEFAULT_PRIORITIES, RATIO_PRIORITIES
from policies.signals import label
from policies.types import Candidate, CandidateState, RoutingRequest, Verdict
from policies.valuation import Valuation

__all__ = ("LeftOut", "LoggedCase", "logged_case", "prices_then", "request_again", "utility_of")

_UNSTATED = [
    {name: value for name, value in msgspec.to_builtins(priorities["balanced"]).items() if value is not None}
    for priorities in (DEFAULT_PRIORITIES, RATIO_PRIORITIES)
]
"""What is logged of a request that states neither a hint nor weights."""


class LeftOut(StrEnum):
    """Why a request tells nothing of another policy."""

    PINNED = "pinned"
    """It named its variant."""
    FORCED = "forced"
    """It went to a variant for one of its early answers."""
    NOT_ANSWERED = "not_answered"
    """Its first choice did not answer it alone, or nothing was chosen."""
    NOT_JUDGED = "not_judged"
    """Its answer was not judged."""
    NOT_READABLE = "not_readable"
    """It was logged by another version of this software."""
    UNKNOWN_VARIANT = "unknown_variant"
    """Its variant is no longer configured."""


class LoggedCase(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A request that counts."""

    record: Record
    outcome: OutcomeRow
    features: Features
    quality: float
    candidates: list[Candidate]


def logged_case(record: Record, known: Mapping[str, Candidate]) -> LoggedCase | LeftOut:
    """A request that tells of a choice, or why it does not."""
    decision, outcome, judged = record.decision, record.outcome, label(record.observations)
    if decision.pinned or decision.forced:
        return LeftOut.PINNED if decision.pinned else LeftOut.FORCED
    if outcome is None or not _alone(record, outcome):
        return LeftOut.NOT_ANSWERED
    if judged is None:
        return LeftOut.NOT_JUDGED
    if decision.choice not in known:
        return LeftOut.UNKNOWN_VARIANT
    features = _features(decision)
    if features is None:
        return LeftOut.NOT_READABLE
    return LoggedCase(
        record=record,
        outcome=outcome,
        features=features,
        quality=min(1.0, max(0.0, judged[0])),
        candidates=_candidates_then(record, known),
    )


def _features(decision: DecisionRow) -> Features | None:
    try:
        return from_stored(decision.features) if decision.features_hash == VERSION else None
    except FeaturesError:
        return None


def _alone(record: Record, outcome: OutcomeRow) -> bool:
    """Whether the choice answered at its first attempt.

    Of what a cascade held back nothing is told: which answers it passes on depends on how good they are.
    """
    choice = record.decision.choice
    if choice is None or outcome.ending is not Ending.DONE or outcome.variant != choice:
        return False
    return len(outcome.attempts) == 1 and not outcome.attempts[0].get("held")


def _candidates_then(record: Record, now: Mapping[str, Candidate]) -> list[Candidate]:
    """The candidates that are still known, in the state and under the load of then."""
    return [
        msgspec.structs.replace(
            now[verdict["variant"]],
            state=CandidateState(verdict["state"]),
            queued=verdict.get("queued", 0),
            running=verdict.get("running", 0),
            starts_in_s=verdict.get("starts_in_s"),
        )
        for verdict in record.decision.candidates
        if verdict["variant"] in now
    ]


def request_again(case: LoggedCase, policy: Policy) -> RoutingRequest:
    """The request under another policy: what it did not say of its weights is left to that."""
    decision = case.record.decision
    stated = policy.priorities.get(_hint(decision) or "")
    weights = stated or msgspec.convert(decision.weights, Weights)
    limits = msgspec.convert(decision.limits, Limits)
    return RoutingRequest(
        objective=Objective(weights=weights, limits=limits, stated_by="policy" if stated else "request"),
        prompt_tokens=decision.prompt_tokens,
        max_completion_tokens=decision.max_completion_tokens,
        needs=frozenset(decision.needs),
        tenant=decision.tenant,
        tags=decision.tags,
        hint=decision.hint,
        service_tier=decision.service_tier or "default",
        features=case.features,
        now_s=decision.created_at_s,
    )


def _hint(decision: DecisionRow) -> str | None:
    """Whose weights it goes by; None where it stated its own."""
    return "balanced" if decision.hint is None and decision.weights in _UNSTATED else decision.hint


def prices_then(case: LoggedCase, formula: Formula = Formula.LINEAR) -> Prices:
    """The tenant's prices then. They are in units of utility: those of another formula would mean something else."""
    decision = case.record.decision
    if decision.prices is None or (decision.valuation is not None) != (formula is Formula.LINEAR):
        return NO_PRICES
    return convert_known(decision.prices, Prices)


def utility_of(case: LoggedCase) -> float | None:
    """What the answer was worth to its request; None where its objective was not linear."""
    decision, outcome = case.record.decision, case.outcome
    if decision.valuation is None or decision.choice is None:
        return None
    try:
        request = RoutedRequest(
            created_at_s=decision.created_at_s,
            tenant=decision.tenant,
            hint=decision.hint,
            choice=decision.choice,
            verdicts=tuple(convert_known(verdict, Verdict) for verdict in decision.candidates),
            valuation=convert_known(decision.valuation, Valuation),
            prices=prices_then(case),
        )
    except msgspec.ValidationError:
        return None
    counted = counted_shares(request).get(request.choice, 1.0)
    return utility(
        request, quality=case.quality, cost_usd=outcome.cost_usd, latency_s=outcome.latency_s, counted=counted
    )
