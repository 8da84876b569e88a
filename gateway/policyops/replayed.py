"""What a policy would have decided each request with: what was learned from the log before it, and nothing after.

A learner that had counted the rows it is judged on would look better than it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.engine import Engine

from gateway.decisions.types import Record
from gateway.learning import trainings
from gateway.learning.dataset import read_samples
from gateway.learning.estimators import ANSWERS, CASCADE, LATENCY
from gateway.learning.store import EstimatorStore
from gateway.learning.train import readable_artifacts
from policies.errors import ArtifactError
from policies.escalation import Escalation, with_learned
from policies.estimators.base import Estimator
from policies.estimators.card import CardEstimator
from policies.estimators.latency import CARD, LatencyModel
from policies.learner.fit import Fit, first_fit
from policies.learner.learner import Learner
from policies.policy import LearnedUse, Policy
from policies.samples import Sample
from policies.types import Candidate

__all__ = ("Replayed", "replayed")


class Replayed:
    """A policy with what it decides with, at one place of the log."""

    def __init__(self, policy: Policy, learner: Learner | None, samples: Mapping[str, Sample]) -> None:
        """Begin before the first record.

        Args:
            policy: Completed by what was learned.
            learner: Knows no answers yet; None for a policy that uses nothing learned.
            samples: What the log teaches, by decision.
        """
        self.policy = policy
        self._learner = learner
        self._samples = samples

    @property
    def estimator(self) -> Estimator:
        """What the policy decides with now."""
        return _CARDS if self._learner is None else self._learner

    def learn(self, record: Record) -> None:
        """Go on behind a record."""
        sample = self._samples.get(record.decision.decision_id)
        if self._learner is None or sample is None:
            return
        self._learner.decided(
            sample.tenant,
            sample.features,
            choice=sample.variant,
            prompt_tokens=sample.prompt_tokens,
            limit_tokens=sample.max_completion_tokens,
        )
        self._learner.absorb(sample)
        self._learner.settle(sample.tenant)


def replayed(policy: Policy, engine: Engine, *, candidates: Mapping[str, Candidate], max_rows: int) -> Replayed:
    """A policy before the first record of the log, with the fits that it pins or that are in force.

    Args:
        policy: To be judged.
        engine: The database.
        candidates: The variants as they are now, by name.
        max_rows: The newest so many answers are learned from on the way.

    Raises:
        SQLAlchemyError: The database cannot be read.
        ArtifactError: An estimator is not what it should be, or one that the policy pins is not stored.
    """
    if policy.learning is LearnedUse.NONE:
        return Replayed(policy, None, {})
    artifacts = readable_artifacts(EstimatorStore(engine), trainings.used_by(policy, trainings.in_force(engine)))
    if missing := [f"{kind} {name}" for kind, name in policy.estimators.items() if kind not in artifacts]:
        raise ArtifactError(f"the policy pins what cannot be read here: {', '.join(missing)}")
    fit = Fit.from_artifact(artifacts[ANSWERS]) if ANSWERS in artifacts else first_fit()
    latency = LatencyModel.from_artifact(artifacts[LATENCY]) if LATENCY in artifacts else CARD
    cascade = Escalation.from_artifact(artifacts[CASCADE]) if CASCADE in artifacts else None
    learner = Learner(fit, latency=latency)
    learner.introduce({name: candidate.profile for name, candidate in candidates.items()})
    samples = read_samples(engine, variants=candidates, max_rows=max_rows, unjudged_text=True)
    return Replayed(with_learned(policy, cascade), learner, {sample.decision_id: sample for sample in samples})


_CARDS = CardEstimator()
