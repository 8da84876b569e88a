"""What a training of the answers' model leaves: the basis, and where the variances of quality and length start."""

from __future__ import annotations

from typing import Self

import msgspec
import numpy as np

from policies.estimators.artifact import Artifact, checked
from policies.features.layout import VERSION
from policies.learner.basis import Basis, first_basis
from policies.learner.posterior import Prior, Variances

__all__ = ("KIND", "LENGTH_PRIOR", "QUALITY_PRIOR", "Fit", "first_fit")

KIND = "answers"

QUALITY_PRIOR = Prior(shared=(0.09, 0.01, 0.001, 0.02), own=(0.0225, 0.005, 0.0005, 0.01), noise=0.15)
"""Of a quality in [0, 1], by block: level, group, surface, text."""

LENGTH_PRIOR = Prior(shared=(1.0, 0.1, 0.02, 0.1), own=(0.25, 0.03, 0.005, 0.03), noise=0.4)
"""Of the logarithm of an answer's tokens."""

_QUANTITIES = {"quality": QUALITY_PRIOR, "length": LENGTH_PRIOR}


class Fit(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One fit."""

    basis: Basis
    quality: Variances | None = None
    """None starts from what is assumed; the noise of variants is found anew in any case."""
    length: Variances | None = None
    hash: str = ""
    """Names the artifact it came from; empty for the first basis."""

    def to_artifact(self, *, variants: tuple[str, ...], facts: dict[str, float | int | str | None]) -> Artifact:
        """As it is stored."""
        arrays = dict(self.basis.arrays())
        for name, prior in _QUANTITIES.items():
            found: Variances | None = getattr(self, name)
            shared = prior.shared if found is None else found.shared
            own = prior.own if found is None else found.own
            arrays[f"{name}_variances"] = np.array([shared, own], np.float32)
        return Artifact(kind=KIND, layout=VERSION, variants=variants, arrays=arrays, facts=facts)

    @classmethod
    def from_artifact(cls, artifact: Artifact, *, hash_: str = "") -> Self:
        """The fit of an artifact, checked.

        Raises:
            ArtifactError: An array is missing, misshapen or out of range.
        """
        found = {}
        for name, prior in _QUANTITIES.items():
            array = checked(artifact, f"{name}_variances", shape=(2, len(prior.own)), low=1e-12, high=1e4)
            shared, own = array.astype(np.float64)
            found[name] = Variances(shared=shared, own=own, noise=np.zeros(0))
        return cls(basis=Basis.from_artifact(artifact), hash=hash_, **found)


def first_fit() -> Fit:
    """What a learner begins with, before anything was fitted."""
    return Fit(basis=first_basis())
