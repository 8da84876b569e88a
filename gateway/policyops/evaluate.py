"""What a policy would have been worth on the log that others wrote: the logged candidates, decided anew by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.decisions.types import Record
from gateway.policyops.errors import PolicyOpsError
from gateway.policyops.logged_cases import LeftOut, LoggedCase, logged_case, prices_then, request_again, utility_of
from policies.decide import decide
from policies.estimators.base import Estimator
from policies.evaluation.from_log import LoggedChoice, batch_from_log
from policies.evaluation.report import Report, evaluate
from policies.policy import Policy
from policies.rules import apply
from policies.training.crossfit import cross_fitted, folds_of
from policies.training.design import Design, Scaling
from policies.types import Candidate

__all__ = ("Evaluation", "NothingJudgedError", "evaluate_on_log")

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
    when it was decided. None where too few requests were decided by a linear objective."""
    left_out: dict[LeftOut, int]
    """Requests that do not count, by the reason."""


class _Decided(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A request that counts, and what the policy does with it."""

    case: LoggedCase
    target: Mapping[str, float]
    """Probability of each candidate."""
    utility: float | None


def evaluate_on_log(
    records: Iterable[Record],
    policy: Policy,
    *,
    candidates: Mapping[str, Candidate],
    estimator: Callable[[], Estimator],
    learn: Callable[[Record], None] = lambda _: None,
    seed: int = 0,
) -> Evaluation:
    """Estimate the mean quality and utility that a policy would have reached on logged requests.

    Only requests count whose choice was drawn by a policy, whose first choice answered, and whose answer was judged.
    Limits are those that held then, and so are the tenant's prices where the log has them in the policy's own units;
    live load is as it was logged; cards are of now. What a request did not say of its weights is left to the policy.

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
    rows, left_out = list[_Decided](), Counter[LeftOut]()
    for record in records:
        case = logged_case(record, candidates)
        if isinstance(case, LeftOut):
            left_out[case] += 1
        else:
            target = _decide(case, policy, estimator=estimator(), rng=rng)
            rows.append(_Decided(case=case, target=target, utility=utility_of(case)))
        learn(record)
    if len(rows) < LEAST_ROWS:
        raise NothingJudgedError(f"{len(rows)} judged answers can tell about a policy, {LEAST_ROWS} are needed")
    folds = folds_of(len(rows), rng=rng)
    quality = _report(rows, [row.case.quality for row in rows], folds, rng=rng)
    return Evaluation(quality=quality, utility=_utility(rows, folds, rng=rng), left_out=dict(left_out))


def _decide(
    case: LoggedCase, policy: Policy, *, estimator: Estimator, rng: np.random.Generator
) -> Mapping[str, float]:
    request, ruling = apply(request_again(case, policy), policy)
    prices = prices_then(case, policy.formula)
    decision = decide(request, case.candidates, policy, estimator=estimator, rng=rng, ruling=ruling, prices=prices)
    return decision.propensities


def _utility(rows: Sequence[_Decided], folds: NDArray[np.intp], *, rng: np.random.Generator) -> Report | None:
    """The report on the requests whose objective was linear; None where they are too few."""
    places = [place for place, row in enumerate(rows) if row.utility is not None]
    if len(places) < LEAST_ROWS:
        return None
    rewards = [row.utility for row in rows if row.utility is not None]
    span = min(rewards), max(rewards)
    made = _report([rows[place] for place in places], rewards, folds[places], rng=rng, reward_range=span)
    # What an answer may cost is not bounded, and so nothing is guaranteed of the mean.
    lines = tuple(msgspec.structs.replace(line, guaranteed=None) for line in made.lines)
    return msgspec.structs.replace(made, lines=lines)


def _report(
    rows: Sequence[_Decided],
    rewards: Sequence[float],
    folds: NDArray[np.intp],
    *,
    rng: np.random.Generator,
    reward_range: tuple[float, float] = (0.0, 1.0),
) -> Report:
    batch = batch_from_log([_row(row, reward) for row, reward in zip(rows, rewards, strict=True)])
    features = [row.case.features for row in rows]
    predicted = cross_fitted(
        Design.of(features, Scaling.of(features)).matrix,
        actions=batch.actions,
        rewards=batch.rewards,
        variants=len(batch.variants),
        folds=folds,
    )
    return evaluate(msgspec.structs.replace(batch, predicted=predicted), rng=rng, reward_range=reward_range)


def _row(row: _Decided, reward: float) -> LoggedChoice:
    decision = row.case.record.decision
    assert decision.choice is not None
    return LoggedChoice(choice=decision.choice, propensities=decision.propensities, reward=reward, target=row.target)
