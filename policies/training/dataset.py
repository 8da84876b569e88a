"""What the estimators are fitted on: answered requests as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from policies.features.types import Features
from policies.samples import Sample, candidate_then

__all__ = ("Dataset", "Sample", "candidate_then")

F64 = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Samples as columns; one row each, in the order given. `nan` stands for what is not known."""

    created_at_s: F64
    tenant: NDArray[np.str_]
    variant: NDArray[np.str_]
    propensity: F64
    prompt_tokens: F64
    limit_tokens: F64
    """What the caller allowed; infinite where nothing was said."""
    completion_tokens: F64
    cut: NDArray[np.bool_]
    ttft_s: F64
    tpot_s: F64
    latency_s: F64
    cost_usd: F64
    quality: F64
    quality_weight: F64
    described: NDArray[np.bool_]
    """Whether the features are known."""
    samples: NDArray[np.object_]
    """The samples themselves, for what is no number."""

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Self:
        """Columns of the samples."""
        whole = np.empty(len(samples), object)
        whole[:] = samples
        known = {name: np.array([getattr(s, name) for s in samples], np.float64) for name in _NUMBERS}
        return cls(
            tenant=np.array([s.tenant for s in samples], np.str_),
            variant=np.array([s.variant for s in samples], np.str_),
            limit_tokens=np.array([s.max_completion_tokens or np.inf for s in samples], np.float64),
            cut=np.array([s.cut for s in samples], np.bool_),
            described=np.array([s.features is not None for s in samples], np.bool_),
            samples=whole,
            **known,
        )

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Self:
        """Some of the rows: their numbers, or a mask."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @property
    def features(self) -> list[Features]:
        """The features of every row; only for rows that have them.

        Raises:
            ValueError: A row has none.
        """
        found = [sample.features for sample in self.samples]
        if None in found:
            raise ValueError("a row has no features")
        return found


_NUMBERS = (
    "created_at_s", "propensity", "prompt_tokens", "completion_tokens", "ttft_s", "tpot_s", "latency_s", "cost_usd",
    "quality", "quality_weight",
)  # fmt: skip
