"""What an estimator would have said of logged requests, by the very code that serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from policies.estimators.base import Estimator
from policies.objective import Objective, Weights
from policies.training.dataset import Dataset, candidate_then
from policies.types import Candidate, RoutingRequest

__all__ = ("Predictions", "predict")

F64 = NDArray[np.float64]

_ANY = Objective(weights=Weights(accuracy=1.0))


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """One entry per row, of the variant that answered it; an upper quantile that is not known is the median."""

    quality: F64
    completion_tokens: F64
    ttft_s: F64
    ttft_high_s: F64
    latency_s: F64
    latency_high_s: F64
    cost_usd: F64

    def take(self, rows: NDArray[np.bool_]) -> Self:
        """Some of the rows."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def predict(data: Dataset, estimator: Estimator, candidates: Mapping[str, Candidate]) -> Predictions:
    """Ask the estimator about every row.

    Args:
        data: Rows, all of variants in `candidates`.
        estimator: Any.
        candidates: Variants with their profiles and prices.
    """
    table = np.empty((len(data), 7))
    for row, sample in enumerate(data.samples):
        request = RoutingRequest(
            objective=_ANY,
            prompt_tokens=sample.prompt_tokens,
            max_completion_tokens=sample.max_completion_tokens,
            tenant=sample.tenant,
            features=sample.features,
        )
        [e] = estimator.estimate(request, [candidate_then(sample, candidates[sample.variant])])
        ttft_high_s = e.ttft_s if e.ttft_high_s is None else e.ttft_high_s
        latency_high_s = e.latency_s if e.latency_high_s is None else e.latency_high_s
        tokens = e.completion_tokens
        table[row] = e.quality, tokens, e.ttft_s, ttft_high_s, e.latency_s, latency_high_s, e.cost_usd
    names = [field.name for field in fields(Predictions)]
    return Predictions(**dict(zip(names, table.T.copy(), strict=True)))
