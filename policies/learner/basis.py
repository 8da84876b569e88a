"""A request as the vector that the joint model reads: `[1 | groups | surface | text]`.

Groups are indicators, surface features are standardised and clipped, the text is TF-IDF of unit length projected onto
the leading directions of the prompts seen so far. A basis is fitted without any label (`policies.training.basis`);
the first one, before there is anything to fit on, knows no text and gives each group a column when it first appears.
"""

from __future__ import annotations

import enum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from policies.estimators.artifact import Artifact, checked, checked_places
from policies.features.layout import GRAM_BUCKETS, GROUP_BUCKETS, SURFACE
from policies.features.types import Features

__all__ = ("GROUPS", "SURFACE_CLIP", "Basis", "Block", "first_basis")

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

GROUPS = 64
"""Groups that have a column of their own."""

SURFACE_CLIP = 3.0
"""Standard deviations beyond which a surface feature says no more."""

SURFACE_SCALE = SURFACE_CLIP / len(SURFACE) ** 0.5
"""So that surface features together weigh about as much as the text."""


class Block(enum.IntEnum):
    """The parts of a vector; each has prior variances of its own."""

    LEVEL = 0
    GROUP = 1
    SURFACE = 2
    TEXT = 3


class Basis:
    """Turns features into vectors of shape (size,). Only the columns of groups are mutable."""

    def __init__(
        self,
        *,
        surface_mean: F32,
        surface_sd: F32,
        idf: F32,
        row: NDArray[np.int32],
        projection: F32,
        groups: NDArray[np.int32],
    ) -> None:
        """Take the arrays.

        Args:
            surface_mean: Shape (len(SURFACE),).
            surface_sd: Likewise, above 0.
            idf: Of every gram bucket; shape (GRAM_BUCKETS,).
            row: Row of each gram bucket in `projection`; the last row, of zeros, for one that has none; shape
                (GRAM_BUCKETS,).
            projection: Directions of the text; shape (n_rows + 1, d).
            groups: Column of each group bucket among the groups; -1 for none; shape (GROUP_BUCKETS,).
        """
        self._surface_mean, self._surface_scale = surface_mean, np.float32(SURFACE_SCALE) / surface_sd
        self._surface_sd = surface_sd
        self._idf, self._row, self._projection = idf, row, projection
        self._groups = groups.copy()
        self._free = int(groups.max(initial=-1)) + 1
        self.text_size = projection.shape[1]
        """Directions of the text, d."""
        self.size = 1 + GROUPS + len(SURFACE) + self.text_size
        """Entries of a vector."""
        sizes = (1, GROUPS, len(SURFACE), self.text_size)
        self.blocks: NDArray[np.intp] = np.repeat(np.arange(len(sizes)), sizes)
        """Which `Block` each entry belongs to; shape (size,)."""

    def vector(self, features: Features | None) -> F64:
        """The vector of one request; of one whose features are not known, that of no request in particular."""
        z = np.zeros(self.size)
        z[0] = 1.0
        if features is None:
            return z
        columns = self._groups.take(features.groups)
        z[1 + columns[columns >= 0]] = 1.0
        limit = np.float32(SURFACE_CLIP * SURFACE_SCALE)
        surface = (features.surface - self._surface_mean) * self._surface_scale
        z[1 + GROUPS : 1 + GROUPS + len(SURFACE)] = np.minimum(np.maximum(surface, -limit), limit)
        if self.text_size and len(features.grams):
            text = (np.float32(1.0) + np.log(np.maximum(features.counts, np.float32(1.0)))) * self._idf.take(
                features.grams
            )
            length = np.sqrt(text @ text)
            if length > 0.0:
                z[-self.text_size :] = (text @ self._projection.take(self._row.take(features.grams), axis=0)) / length
        return z

    def admit(self, features: Features | None) -> None:
        """Give the groups of a request columns, as long as there are any left."""
        for bucket in () if features is None else features.groups.tolist():
            if self._free < GROUPS and self._groups[bucket] < 0:
                self._groups[bucket] = self._free
                self._free += 1

    def copy(self) -> Basis:
        """The same, with columns of groups of its own."""
        return Basis(
            surface_mean=self._surface_mean,
            surface_sd=self._surface_sd,
            idf=self._idf,
            row=self._row,
            projection=self._projection,
            groups=self._groups,
        )

    def regroup(self, groups: NDArray[np.int32]) -> None:
        """Give groups the columns that they had in another process.

        Raises:
            ValueError: These are not columns of groups.
        """
        if groups.shape != self._groups.shape or groups.min() < -1 or groups.max() >= GROUPS:
            raise ValueError("these are not columns of groups")
        self._groups = groups.astype(np.int32)
        self._free = int(groups.max()) + 1

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The arrays by name, as an artifact keeps them."""
        return {
            "surface_mean": self._surface_mean,
            "surface_sd": self._surface_sd,
            "idf": self._idf,
            "row": self._row,
            "projection": self._projection,
            "groups": self._groups,
        }

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> Self:
        """The basis of an artifact, checked.

        Raises:
            ArtifactError: An array is missing, misshapen or out of range.
        """
        projection = artifact.arrays.get("projection")
        rows, d = (1, 0) if projection is None or projection.ndim != 2 else projection.shape
        surface = (len(SURFACE),)
        return cls(
            surface_mean=checked(artifact, "surface_mean", shape=surface),
            surface_sd=checked(artifact, "surface_sd", shape=surface, low=1e-6),
            idf=checked(artifact, "idf", shape=(GRAM_BUCKETS,), low=0.0, high=100.0),
            row=checked_places(artifact, "row", shape=(GRAM_BUCKETS,), low=0, high=rows - 1),
            projection=checked(artifact, "projection", shape=(rows, d)),
            groups=checked_places(artifact, "groups", shape=(GROUP_BUCKETS,), low=-1, high=GROUPS - 1),
        )


def first_basis() -> Basis:
    """The basis before anything was fitted: levels, groups as they appear, and surface features on typical scales."""
    return Basis(
        surface_mean=_TYPICAL_MEAN.copy(),
        surface_sd=_TYPICAL_SD.copy(),
        idf=np.ones(GRAM_BUCKETS, np.float32),
        row=np.zeros(GRAM_BUCKETS, np.int32),
        projection=np.zeros((1, 0), np.float32),
        groups=np.full(GROUP_BUCKETS, -1, np.int32),
    )


_TYPICAL = {
    "length": (0.57, 0.09),
    "words": (0.40, 0.08),
    "word_length": (0.55, 0.09),
    "distinct_words": (0.71, 0.17),
    "digits": (0.14, 0.13),
    "digit_share": (0.03, 0.05),
    "numbers": (0.60, 1.36),
    "longest_number": (0.14, 0.14),
    "lines": (0.52, 0.63),
    "questions": (0.08, 0.06),
    "question_words": (0.33, 0.39),
    "negations": (0.20, 0.40),
    "math": (0.36, 1.02),
    "money": (0.11, 0.38),
    "commas": (0.34, 0.72),
    "full_stops": (0.72, 0.80),
    "upper_share": (0.04, 0.03),
    "non_ascii_share": (0.0, 0.05),
    "code": (0.07, 0.22),
    "turns": (0.07, 0.10),
    "tools": (0.0, 0.10),
}
"""Mean and standard deviation over 2,400 prompts of eight public question sets; turns and tools, which these lack,
are guessed."""
_TYPICAL_MEAN, _TYPICAL_SD = np.array([_TYPICAL[name] for name in SURFACE], np.float32).T.copy()
