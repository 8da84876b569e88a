"""The estimators that a policy would be served with, for judging it on the log: what it pins, or what is in force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Self

import msgspec
from sqlalchemy.engine import Engine

from gateway.learning import trainings
from gateway.learning.dataset import read_samples
from gateway.learning.estimators import ANSWERS, COUNTED_ROWS, LATENCY
from gateway.learning.store import EstimatorStore
from policies.estimators.base import Estimator
from policies.estimators.card import CardEstimator
from policies.estimators.latency import CARD, LatencyModel
from policies.learner.fit import Fit, first_fit
from policies.policy import LearnedUse, Policy
from policies.samples import Sample
from policies.training.answers import counted
from policies.types import Candidate

__all__ = ("CARDS", "Served")


class Served(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What was learned, and from which answers."""

    fit: Fit | None
    """None where cards and stated figures decide."""
    latency: LatencyModel = CARD
    samples: Sequence[Sample] = ()
    """Oldest first."""
    hashes: Mapping[str, str] = {}
    """Content hash by kind; a kind that is not named is as it was before any training."""

    @classmethod
    def under(cls, policy: Policy, engine: Engine, *, variants: Collection[str]) -> Self:
        """What would be served under a policy now; blocks.

        Raises:
            ArtifactError: What it pins, or what is in force, cannot be used.
            SQLAlchemyError: The database cannot be read.
        """
        held = trainings.held_by(engine)
        off = held is not None and held.action is trainings.Action.OFF
        if off or policy.learning is LearnedUse.NONE:
            return cls(fit=None)
        hashes = trainings.used_by(policy, trainings.in_force(engine))
        store, answers, latency = EstimatorStore(engine), hashes.get(ANSWERS), hashes.get(LATENCY)
        return cls(
            fit=Fit.from_artifact(store.get(answers, kind=ANSWERS), hash_=answers) if answers else first_fit(),
            latency=LatencyModel.from_artifact(store.get(latency, kind=LATENCY)) if latency else CARD,
            samples=read_samples(engine, variants=variants, max_rows=COUNTED_ROWS, unjudged_text=True),
            hashes={kind: name for kind, name in hashes.items() if kind in {ANSWERS, LATENCY}},
        )

    def without(self, ids: Collection[str], policy: Policy, *, candidates: Mapping[str, Candidate]) -> Estimator:
        """An estimator as it is served under a policy, had some answers never been seen.

        Requests count as traffic in any case: what came of them is all that is left out.

        Args:
            ids: Decisions whose answers are left out.
            policy: Says which variants on trial start from which others.
            candidates: The variants, by name.
        """
        if self.fit is None:
            return CardEstimator()
        profiles = {name: candidate.profile for name, candidate in candidates.items()}
        learner = counted(self.fit, [s for s in self.samples if s.decision_id not in ids], profiles=profiles)
        learner.latency = self.latency
        learner.parents = {trial.variant: trial.parent for trial in policy.trials if trial.parent is not None}
        for sample in self.samples:
            learner.decided(
                sample.tenant,
                sample.features,
                choice=sample.variant,
                prompt_tokens=sample.prompt_tokens,
                limit_tokens=sample.max_completion_tokens,
            )
        for tenant in dict.fromkeys(sample.tenant for sample in self.samples):
            learner.settle(tenant)
        return learner

    @property
    def tried(self) -> Mapping[str, int]:
        """Answers that each variant has given."""
        return Counter(sample.variant for sample in self.samples)


CARDS = Served(fit=None)
"""Nothing learned."""
