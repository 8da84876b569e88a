"""What a policy would have been worth on the log that others wrote: the logged candidates, decided anew by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec
import numpy as np

from gateway.decisions.types import Ending, Record
from gateway.policyops.errors import PolicyOpsError
from policies.decide import decide
from policies.errors import FeaturesError
from policies.estimators.base import Estimator
from policies.evaluation.from_log import LoggedChoice, batch_from_log
from policies.evaluation.report import Report, evaluate
from policies.features.layout import VERSION
from policies.features.stored import from_stored
from policies.features.types import Features
from policies.objective import Limits, Objective, Weights
from policies.policy import Policy
from policies.rules import apply
from policies.signals import label
from policies.training.crossfit import cross_fitted, folds_of
from policies.training.design import Design, Scaling
from policies.types import Candidate, CandidateState, RoutingRequest

__all__ = ("NothingJudgedError", "evaluate_on_log")

LEAST_ROWS = 20


class NothingJudgedError(PolicyOpsError):
    """The log holds too few judged answers whose choice was left to a policy."""

    error_type = "nothing_judged"


def evaluate_on_log(
    records: Iterable[Record],
    policy: Policy,
    *,
    candidates: Mapping[str, Candidate],
    estimator: Callable[[], Estimator],
    learn: Callable[[Record], None] = lambda _: None,
    seed: int = 0,
) -> Report:
    """Estimate the mean quality that a policy would have reached on logged requests.

    Only requests count whose choice was drawn by a policy, whose first choice answered, and whose answer was judged.
    Limits are those that held then, and live load is as it was logged; prices and cards are of now. What a request
    did not say of its weights is left to the policy.

    Args:
        records: Of the log.
        policy: The one to judge.
        candidates: The variants as they are now, by name.
        estimator: Says what the policy decides with, at the record it is asked about.
        learn: Told each record once it was decided.
        seed: Of the folds and the bootstrap.

    Raises:
        NothingJudgedError: There are too few such requests.
    """
    rng = np.random.default_rng(seed)
    # Early answers that every variant gets are no evidence about a policy, and none of its merits.
    exploration = msgspec.structs.replace(policy.exploration, first=0)
    policy = msgspec.structs.replace(policy, exploration=exploration)
    rows, features = [], []
    for record in records:
        judged = _judged(record)
        then = _candidates_then(record, candidates)
        if judged is not None and record.decision.choice in {candidate.name for candidate in then}:
            seen, reward = judged
            request, ruling = apply(_request(record, seen, policy), policy)
            decision = decide(request, then, policy, estimator=estimator(), rng=rng, ruling=ruling)
            rows.append(_row(record, reward, decision.propensities))
            features.append(seen)
        learn(record)
    if len(rows) < LEAST_ROWS:
        raise NothingJudgedError(f"{len(rows)} judged answers can tell about a policy, {LEAST_ROWS} are needed")
    batch = batch_from_log(rows)
    predicted = cross_fitted(
        Design.of(features, Scaling.of(features)).matrix,
        actions=batch.actions,
        rewards=batch.rewards,
        variants=len(batch.variants),
        folds=folds_of(len(rows), rng=rng),
    )
    return evaluate(msgspec.structs.replace(batch, predicted=predicted), rng=rng)


def _judged(record: Record) -> tuple[Features, float] | None:
    """The features of a record that tells of a choice, and the quality of its answer; None of any other."""
    decision, outcome, judged = record.decision, record.outcome, label(record.observations)
    if outcome is None or judged is None or outcome.ending is not Ending.DONE or decision.pinned or decision.forced:
        return None
    if decision.features_hash != VERSION or decision.choice is None or outcome.variant != decision.choice:
        return None
    # Of what a cascade held back nothing is told: which answers it passes on depends on how good they are.
    if len(outcome.attempts) != 1 or outcome.attempts[0].get("held"):
        return None
    try:
        return from_stored(decision.features), judged[0]
    except FeaturesError:
        return None


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


def _request(record: Record, features: Features, policy: Policy) -> RoutingRequest:
    decision = record.decision
    stated = policy.priorities.get(decision.hint or "")
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
        features=features,
    )


def _row(record: Record, reward: float, target: Mapping[str, float]) -> LoggedChoice:
    decision = record.decision
    assert decision.choice is not None
    return LoggedChoice(
        choice=decision.choice, propensities=decision.propensities, reward=min(1.0, max(0.0, reward)), target=target
    )
