"""What a policy would have been worth on the log that others wrote: the logged candidates, decided anew by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.decisions.types import Record
from gateway.policyops.errors import PolicyOpsError
from gateway.policyops.logged_cases import LeftOut, LoggedCase, logged_case, prices_then, request_again, utility_of
from gateway.policyops.served import Served
from policies.decide import decide
from policies.estimators.base import Estimator
from policies.evaluation.from_log import LoggedChoice, batch_from_log
from policies.evaluation.report import Report, evaluate
from policies.policy import Policy
from policies.rules import apply
from policies.training.crossfit import cross_fitted, folds_of
from policies.training.design import Design, Scaling
from policies.types import Candidate

__all__ = ("Evaluation", "LeftOut", "NothingJudgedError", "evaluate_on_log")

LEAST_ROWS = 20


class NothingJudgedError(PolicyOpsError):
    """The log holds too few judged answers whose choice was left to a policy."""

    error_type = "nothing_judged"


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What the log says of a policy."""

    quality: Report
    """Mean quality of answers, in [0, 1]."""
    utility: Report | None
    """Mean utility: quality less what dollars and seconds were worth to the request and to its tenant's constraints
    when it was decided. None where too few rows were decided by a linear objective."""
    left_out: dict[LeftOut, int]
    """Requests by the reason for which they do not count."""
    estimators: dict[str, str]
    """Content hash by kind of what the policy decided with; a kind that is not named is as it was before any
    training."""
    learned: bool
    """Whether it decided with what was learned at all."""


def evaluate_on_log(
    records: Iterable[Record],
    policy: Policy,
    *,
    candidates: Mapping[str, Candidate],
    served: Served,
    seed: int = 0,
) -> Evaluation:
    """Estimate the mean quality and utility that a policy would have reached on logged requests.

    Only requests count whose choice was drawn by a policy, whose first choice answered, and whose answer was judged.
    Limits and the prices of the tenant's constraints are those that held then, and live load is as it was logged;
    cards and prices are of now. What a request did not say of its weights is left to the policy. Each request is
    decided by an estimator that has not seen its answer. Early answers are over.

    Args:
        records: Of the log.
        policy: The one to judge.
        candidates: The variants as they are now, by name.
        served: What the policy would decide with.
        seed: Of the folds and the bootstrap.

    Raises:
        NothingJudgedError: There are too few such requests.
    """
    rng = np.random.default_rng(seed)
    found = [logged_case(record, candidates) for record in records]
    left_out = Counter(case for case in found if isinstance(case, LeftOut))
    cases = [case for case in found if not isinstance(case, LeftOut)]
    if len(cases) < LEAST_ROWS:
        raise NothingJudgedError(f"{len(cases)} judged answers can tell about a policy, {LEAST_ROWS} are needed")
    folds = folds_of(len(cases), rng=rng)
    targets = _decided_anew(cases, folds, _settled(policy), candidates=candidates, served=served, rng=rng)
    rewards = [utility_of(case) for case in cases]
    linear = [place for place, reward in enumerate(rewards) if reward is not None]
    worth: Report | None = None
    if len(linear) >= LEAST_ROWS:
        worth = _report(
            [cases[place] for place in linear],
            [reward for reward in rewards if reward is not None],
            [targets[place] for place in linear],
            folds[linear],
            rng=rng,
        )
    return Evaluation(
        quality=_report(cases, [case.quality for case in cases], targets, folds, rng=rng, bounds=(0.0, 1.0)),
        utility=worth,
        left_out=dict(left_out),
        estimators=dict(served.hashes),
        learned=served.fit is not None,
    )


def _settled(policy: Policy) -> Policy:
    """The policy once every variant has had its early answers: there are few of them, and no draw decides them."""
    return msgspec.structs.replace(policy, exploration=msgspec.structs.replace(policy.exploration, first=0))


def _decided_anew(
    cases: Sequence[LoggedCase],
    folds: NDArray[np.intp],
    policy: Policy,
    *,
    candidates: Mapping[str, Candidate],
    served: Served,
    rng: np.random.Generator,
) -> list[dict[str, float]]:
    """What the policy does with each case: the probability of each candidate."""
    targets: list[dict[str, float]] = [{} for _ in cases]
    tried = served.tried
    for fold in np.unique(folds):
        held = np.flatnonzero(folds == fold).tolist()
        ids = frozenset(cases[place].record.decision.decision_id for place in held)
        estimator = served.without(ids, policy, candidates=candidates)
        for place in held:
            targets[place] = _decide(cases[place], policy, estimator=estimator, tried=tried, rng=rng)
    return targets


def _decide(
    case: LoggedCase, policy: Policy, *, estimator: Estimator, tried: Mapping[str, int], rng: np.random.Generator
) -> dict[str, float]:
    request, ruling = apply(request_again(case, policy), policy)
    found = decide(
        request,
        case.candidates,
        policy,
        estimator=estimator,
        rng=rng,
        ruling=ruling,
        prices=prices_then(case),
        tried=tried,
    )
    return found.propensities


def _report(
    cases: Sequence[LoggedCase],
    rewards: Sequence[float],
    targets: Sequence[Mapping[str, float]],
    folds: NDArray[np.intp],
    *,
    rng: np.random.Generator,
    bounds: tuple[float, float] | None = None,
) -> Report:
    """The estimates of one mean reward; without bounds of a reward no guaranteed interval of its mean is given."""
    batch = batch_from_log([_row(*row) for row in zip(cases, rewards, targets, strict=True)])
    features = [case.features for case in cases]
    predicted = cross_fitted(
        Design.of(features, Scaling.of(features)).matrix,
        actions=batch.actions,
        rewards=batch.rewards,
        variants=len(batch.variants),
        folds=folds,
    )
    span = bounds or (min(rewards), max(rewards))
    made = evaluate(msgspec.structs.replace(batch, predicted=predicted), rng=rng, reward_range=span)
    if bounds is not None:
        return made
    lines = tuple(msgspec.structs.replace(line, guaranteed=None) for line in made.lines)
    return msgspec.structs.replace(made, lines=lines)


def _row(case: LoggedCase, reward: float, target: Mapping[str, float]) -> LoggedChoice:
    decision = case.record.decision
    assert decision.choice is not None
    return LoggedChoice(choice=decision.choice, propensities=decision.propensities, reward=reward, target=target)
