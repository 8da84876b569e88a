"""The learned threshold of a cascade: below which confidence its second variant is asked.

A policy that states a threshold keeps it. One that names the two variants alone takes what was learned for them.
"""

from __future__ import annotations

from typing import Self

import msgspec
import numpy as np

from policies.errors import ArtifactError
from policies.estimators.artifact import Artifact, checked
from policies.features.layout import VERSION
from policies.policy import Cascade, LearnedUse, Policy

__all__ = ("KIND", "Escalation", "with_learned")

KIND = "cascade"


class Escalation(msgspec.Struct, frozen=True, kw_only=True):
    """What was learned for a cascade of two variants."""

    first: str
    then: str
    threshold: float
    """Confidence below which the first answer will not do, in [0, 1]."""
    escalates: float
    """Share of the requests below it."""
    recovers: float
    """Share of the second variant's advantage that is won back, in [0, 1]."""

    def to_artifact(self, *, facts: dict[str, float | int | str | None]) -> Artifact:
        """As it is stored."""
        figures = np.array([self.threshold, self.escalates, self.recovers], np.float32)
        return Artifact(
            kind=KIND, layout=VERSION, variants=(self.first, self.then), arrays={"figures": figures}, facts=facts
        )

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> Self:
        """The threshold of an artifact, checked.

        Raises:
            ArtifactError: It is not about two variants, or a figure is missing or out of range.
        """
        if len(artifact.variants) != 2:
            raise ArtifactError(f"a cascade has two variants, not {len(artifact.variants)}")
        threshold, escalates, recovers = checked(artifact, "figures", shape=(3,), low=0.0, high=1.0).tolist()
        first, then = artifact.variants
        return cls(first=first, then=then, threshold=threshold, escalates=escalates, recovers=recovers)

    def fits(self, cascade: Cascade) -> bool:
        """Whether it was learned for this cascade."""
        return (self.first, self.then) == (cascade.first, cascade.then)


def with_learned(policy: Policy, learned: Escalation | None) -> Policy:
    """The policy, its cascade completed by what was learned where it states no threshold itself; the hash stays."""
    cascade = policy.cascade
    if cascade is None or cascade.threshold is not None or policy.learning is LearnedUse.NONE:
        return policy
    if learned is None or not learned.fits(cascade):
        return policy
    completed = msgspec.structs.replace(
        cascade, threshold=learned.threshold, escalates=learned.escalates, recovers=learned.recovers
    )
    return msgspec.structs.replace(policy, cascade=completed)
