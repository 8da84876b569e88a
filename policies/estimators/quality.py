"""P(good | request, variant): a linear probability model, calibrated when it was fitted, that goes on learning.

Linear and not logistic: a score may be any number in [0, 1], the fit has one solution, and one more record changes
it in closed form. Its calibration is folded into the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.estimators.artifact import Artifact, checked
from policies.estimators.linear import Heads, Inputs, inputs
from policies.estimators.online import OnlineHeads
from policies.features.layout import GRAM_BUCKETS, GROUP_BUCKETS
from policies.features.types import Features

__all__ = ("KIND", "LEAST", "OnlineQuality", "QualityModel")

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

KIND = "quality"

LEAST = 0.005
"""No quality is said to be nearer to 0 or 1 than this."""


class QualityModel(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What was fitted; k variants."""

    names: tuple[str, ...]
    heads: Heads
    evidence: F32
    """Sum of squared inputs of each gram over the fit's requests; shape (GRAM_BUCKETS,)."""
    membership: F32
    """The same of each group; shape (GROUP_BUCKETS,)."""
    rows: F32
    """Records each variant was fitted on; shape (k,)."""
    noise: F32
    """Variance of one answer's score around its prediction, out of sample; shape (k,)."""
    penalty: float
    """Ridge penalty: a weight's precision before any record, in units of the noise's."""

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> Self:
        """Check the arrays and keep them.

        Raises:
            ArtifactError: One is missing, misshapen or out of range.
        """
        k = len(artifact.variants)
        return cls(
            names=artifact.variants,
            heads=Heads.from_artifact(artifact),
            evidence=checked(artifact, "evidence", shape=(GRAM_BUCKETS,), low=0.0, high=1e9),
            membership=checked(artifact, "membership", shape=(GROUP_BUCKETS,), low=0.0, high=1e9),
            rows=checked(artifact, "rows", shape=(k,), low=0.0, high=1e9),
            noise=checked(artifact, "noise", shape=(k,), low=0.0, high=1.0),
            penalty=float(checked(artifact, "penalty", shape=(1,), low=1e-3)[0]),
        )

    def to_artifact(self, *, layout: str, facts: dict[str, float | int | str | None]) -> Artifact:
        """As it is stored."""
        names = ("evidence", "membership", "rows", "noise")
        arrays = self.heads.arrays() | {name: getattr(self, name) for name in names}
        arrays["penalty"] = np.array([self.penalty], np.float32)
        return Artifact(kind=KIND, layout=layout, variants=self.names, arrays=arrays, facts=facts)

    def inputs(self, features: Features) -> Inputs:
        """The features as the heads read them."""
        h = self.heads
        return inputs(features, idf=h.idf, surface_mean=h.surface_mean, surface_sd=h.surface_sd)


class OnlineQuality:
    """A fit in service. Mutable; an update costs tens of microseconds and needs no other record."""

    def __init__(self, model: QualityModel) -> None:
        self._model = model
        self._names = model.names
        self._noise = model.noise.astype(np.float64)
        self._heads = OnlineHeads(
            model.heads,
            evidence=model.evidence,
            membership=model.membership,
            rows=model.rows,
            penalty=model.penalty,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Variants it knows."""
        return self._names

    @property
    def adopted(self) -> tuple[str, ...]:
        """Variants taken in since the fit."""
        return tuple(name for name in self._names if name not in self._model.names)

    @property
    def updates(self) -> int:
        """Records learned from since the fit."""
        return self._heads.updates

    @property
    def alerts(self) -> int:
        """Changes of a variant noticed since the fit."""
        return self._heads.alerts

    def predict(self, features: Features, *, names: Sequence[str]) -> tuple[F64, F64]:
        """Quality and its standard error for some of its variants; shapes (n,), both."""
        x = self._model.inputs(features)
        columns = [self._names.index(name) for name in names]
        quality = np.clip(self._heads.scores(x), LEAST, 1.0 - LEAST)
        se = np.sqrt(self._noise * self._heads.variances(x))
        return quality[columns], se[columns]

    def update(self, features: Features, variant: str, score: float, *, weight: float = 1.0) -> None:
        """Learn from one judged answer; of a variant it does not know it learns nothing."""
        if variant in self._names:
            x = self._model.inputs(features)
            self._heads.update(x, self._names.index(variant), min(1.0, max(0.0, score)), weight=weight)

    def add(self, variant: str, *, parent: str) -> None:
        """Take in a further variant, which starts as what its parent is now and knows nothing of its own.

        Raises:
            KeyError: The parent is not known.
        """
        if parent not in self._names:
            raise KeyError(parent)
        if variant not in self._names:
            origin = self._names.index(parent)
            self._heads.add(origin)
            self._names = (*self._names, variant)
            self._noise = np.append(self._noise, self._noise[origin])

    def remove(self, variant: str) -> None:
        """Forget a variant; one it does not know is forgotten already."""
        if variant in self._names:
            place = self._names.index(variant)
            self._heads.remove(place)
            self._names = tuple(name for name in self._names if name != variant)
            self._noise = np.delete(self._noise, place)
