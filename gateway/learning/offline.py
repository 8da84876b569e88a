"""What a policy would decide with, rebuilt from the database: for commands that judge policies on the log.

The learner is the one that serves, fed from the same log. It is made twice, each from one half of the requests, so
that no request is decided with what its own answer taught.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection

from sqlalchemy.engine import Engine

from gateway.learning import trainings
from gateway.learning.dataset import read_samples
from gateway.learning.estimators import ANSWERS, COUNTED_ROWS, LATENCY
from gateway.learning.store import EstimatorStore
from policies.estimators.base import Estimator
from policies.estimators.card import CardEstimator
from policies.estimators.latency import CARD, LatencyModel
from policies.learner.fit import Fit, first_fit
from policies.learner.learner import Learner
from policies.policy import LearnedUse, Policy
from policies.samples import Sample

__all__ = ("estimators_apart",)


def estimators_apart(engine: Engine, policy: Policy, *, variants: Collection[str]) -> Callable[[str], Estimator]:
    """The estimator for each decision of the log, by the decision's id. Blocks.

    Args:
        engine: The database, migrated.
        policy: It keeps the estimators in force, pins some, or uses cards only.
        variants: Those learned about.

    Raises:
        ArtifactError: An estimator in force or pinned cannot be read.
        SQLAlchemyError: The database cannot be read.
    """
    held = trainings.held_by(engine)
    off = held is not None and held.action is trainings.Action.OFF
    if policy.learning is LearnedUse.NONE or off:
        cards = CardEstimator()
        return lambda _: cards
    used, store = trainings.used_by(policy, trainings.in_force(engine)), EstimatorStore(engine)
    answers, latency = used.get(ANSWERS), used.get(LATENCY)
    fit = first_fit() if answers is None else Fit.from_artifact(store.get(answers, kind=ANSWERS), hash_=answers)
    times = CARD if latency is None else LatencyModel.from_artifact(store.get(latency, kind=LATENCY))
    samples = read_samples(engine, variants=variants, max_rows=COUNTED_ROWS, unjudged_text=True)
    parents = {trial.variant: trial.parent for trial in policy.trials if trial.parent is not None}
    learners = [
        _fed(Learner(fit, latency=times), [s for s in samples if _half(s.decision_id) != half], parents)
        for half in (0, 1)
    ]
    return lambda decision_id: learners[_half(decision_id)]


def _fed(learner: Learner, samples: list[Sample], parents: dict[str, str]) -> Learner:
    """The learner once it has counted these requests, oldest first."""
    learner.parents = parents
    for sample in samples:
        learner.decided(
            sample.tenant,
            sample.features,
            choice=sample.variant,
            prompt_tokens=sample.prompt_tokens,
            limit_tokens=sample.max_completion_tokens,
        )
    learner.absorb_all(samples)
    for tenant in {sample.tenant for sample in samples}:
        learner.settle(tenant)
    learner.settle()
    return learner


def _half(decision_id: str) -> int:
    """Which half of the log a decision belongs to; the same at every reading."""
    return zlib.crc32(decision_id.encode()) & 1
