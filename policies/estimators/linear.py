"""Linear heads over the features: one number per variant, from one gather of sparse rows for all of them.

A prompt's text enters as TF-IDF of unit length (sublinear counts, smoothed IDF), its surface standardised and
clipped, its groups as indicators. A head's group weights are means of its residuals, shrunken by the ridge penalty.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.estimators.artifact import Artifact, checked
from policies.features.layout import GRAM_BUCKETS, GROUP_BUCKETS, SURFACE
from policies.features.types import Features

__all__ = ("GROUP_SCALE", "SURFACE_CLIP", "SURFACE_SCALE", "Heads", "Inputs", "inputs", "standardised")

F32 = NDArray[np.float32]

GROUP_SCALE = np.float32(0.5)
"""Value of a group's indicator: how freely its mean may leave the others', against the text's length of 1."""

SURFACE_SCALE = np.float32(0.25)
"""Value of one standard deviation of a surface feature."""

SURFACE_CLIP = np.float32(3.0)
"""Standard deviations beyond which a surface feature says no more."""


class Inputs(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What the heads are applied to: the features, weighed."""

    grams: NDArray[np.uint16]
    text: F32
    """Weight of each gram; of length 1 together, empty for an empty text."""
    surface: F32
    groups: NDArray[np.uint16]


class Heads(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The arrays of one linear estimator; k heads."""

    idf: F32
    """Shape (GRAM_BUCKETS,)."""
    surface_mean: F32
    surface_sd: F32
    """Shape (len(SURFACE),), both."""
    text: F32
    """Shape (GRAM_BUCKETS, k)."""
    surface: F32
    """Shape (len(SURFACE), k)."""
    groups: F32
    """Shape (GROUP_BUCKETS, k)."""
    bias: F32
    """Shape (k,)."""

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> Heads:
        """The heads of an artifact, checked.

        Raises:
            ArtifactError: An array is missing, misshapen or out of range.
        """
        k, s = len(artifact.variants), len(SURFACE)
        return cls(
            idf=checked(artifact, "idf", shape=(GRAM_BUCKETS,), low=0.0, high=100.0),
            surface_mean=checked(artifact, "surface_mean", shape=(s,)),
            surface_sd=checked(artifact, "surface_sd", shape=(s,), low=1e-6),
            text=checked(artifact, "text", shape=(GRAM_BUCKETS, k)),
            surface=checked(artifact, "surface", shape=(s, k)),
            groups=checked(artifact, "groups", shape=(GROUP_BUCKETS, k)),
            bias=checked(artifact, "bias", shape=(k,)),
        )

    def arrays(self) -> dict[str, F32]:
        """The arrays by name, as an artifact keeps them."""
        return {name: getattr(self, name) for name in self.__struct_fields__}

    def scores(self, x: Inputs) -> F32:
        """One score per head; shape (k,)."""
        total = self.bias + x.surface @ self.surface + GROUP_SCALE * self.groups.take(x.groups, axis=0).sum(axis=0)
        scores: F32 = total + x.text @ self.text.take(x.grams, axis=0)
        return scores


def inputs(features: Features, *, idf: F32, surface_mean: F32, surface_sd: F32) -> Inputs:
    """Weigh the features of one request."""
    text: F32 = (np.float32(1.0) + np.log(features.counts)) * idf.take(features.grams)
    length = np.sqrt(text @ text)
    return Inputs(
        grams=features.grams,
        text=text / length if length > 0.0 else text,
        surface=standardised(features.surface, mean=surface_mean, sd=surface_sd),
        groups=features.groups,
    )


def standardised(surface: F32, *, mean: F32, sd: F32) -> F32:
    """Surface features as the heads read them; shape (..., len(SURFACE))."""
    z: F32 = SURFACE_SCALE * np.clip((surface - mean) / sd, -SURFACE_CLIP, SURFACE_CLIP)
    return z
