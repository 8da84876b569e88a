"""Estimates from what was fitted on the log, part by part and variant by variant; the card's where nothing was."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from policies.errors import ArtifactError
from policies.estimators.artifact import Artifact
from policies.estimators.cost import cost_usd
from policies.estimators.latency import CARD, LatencyModel
from policies.estimators.length import LengthModel
from policies.estimators.quality import OnlineQuality, QualityModel
from policies.estimators.times import parts
from policies.features.types import Features
from policies.types import Candidate, Estimate, RoutingRequest

__all__ = ("LearnedEstimator", "Part", "QualityPredictor", "composed", "part_of")

F64 = NDArray[np.float64]


class QualityPredictor(Protocol):
    """A fitted quality estimator."""

    @property
    def names(self) -> tuple[str, ...]:
        """Variants it knows."""
        ...

    def predict(self, features: Features, *, names: Sequence[str]) -> tuple[F64, F64]:
        """Quality and its standard error for some of its variants; shapes (n,), both."""
        ...


Part = OnlineQuality | LengthModel | LatencyModel
"""What one artifact comes to."""


def part_of(artifact: Artifact) -> Part:
    """The estimator that an artifact holds, checked.

    Raises:
        ArtifactError: It is of no known kind, or not what its kind should be.
    """
    if artifact.kind == "quality":
        return OnlineQuality(QualityModel.from_artifact(artifact))
    if artifact.kind == "length":
        return LengthModel.from_artifact(artifact)
    if artifact.kind == "latency":
        return LatencyModel.from_artifact(artifact)
    raise ArtifactError(f"there is no estimator of `{artifact.kind}`")


def composed(artifacts: Mapping[str, Artifact]) -> LearnedEstimator:
    """The estimator of these artifacts, by kind.

    Raises:
        ArtifactError: One is not what it should be.
    """
    return LearnedEstimator.of([part_of(artifact) for artifact in artifacts.values()])


class LearnedEstimator:
    """Composes the fitted estimators. Each may be missing, and each knows its own variants.

    A variant that an estimator does not know is taken for its parent, if it knows that, and is otherwise estimated by
    its card. So is what a fitted estimator has no finite figure for.
    """

    def __init__(
        self,
        *,
        quality: QualityPredictor | None = None,
        length: LengthModel | None = None,
        latency: LatencyModel | None = None,
        parents: Mapping[str, str] | None = None,
    ) -> None:
        """Compose.

        Args:
            quality: None for the card's.
            length: None for the card's.
            latency: None for the card's.
            parents: Of variants on trial: whose estimates they inherit until they have their own.
        """
        self._parents = parents or {}
        self._quality = quality
        self._length = length
        self._length_rows = {} if length is None else _rows(length.names, self._parents)
        self._latency = latency or CARD
        self._latency_rows = _rows(self._latency.names, self._parents)

    @classmethod
    def of(cls, parts: Sequence[Part], *, parents: Mapping[str, str] | None = None) -> Self:
        """Compose parts, at most one of each kind."""
        return cls(
            quality=next((part for part in parts if isinstance(part, OnlineQuality)), None),
            length=next((part for part in parts if isinstance(part, LengthModel)), None),
            latency=next((part for part in parts if isinstance(part, LatencyModel)), None),
            parents=parents,
        )

    def estimate(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> list[Estimate]:
        """One estimate per candidate, in their order."""
        if not candidates:
            return []
        quality = self._qualities(request, candidates)
        tokens = self._tokens(request, candidates)
        times = self._latency.predict(
            [parts(candidate, prompt_tokens=request.prompt_tokens) for candidate in candidates],
            prompt_tokens=request.prompt_tokens,
            variants=[self._latency_rows.get(candidate.name) for candidate in candidates],
            median_tokens=tokens[:, 1],
            high_tokens=tokens[:, 2],
        )
        rows = np.array((*quality.T, tokens[:, 0], *times)).T.tolist()
        return [_estimate(request, c, row) for c, row in zip(candidates, rows, strict=True)]

    def _qualities(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> F64:
        """Quality and its standard error; shape (n, 2)."""
        table = np.array([(c.profile.quality, c.profile.quality_se) for c in candidates])
        if self._quality is not None and request.features is not None:
            # Its variants may change while it learns, and so they are looked up each time.
            known = self._quality.names
            named = [c.name if c.name in known else self._parents.get(c.name) for c in candidates]
            places = [place for place, name in enumerate(named) if name in known]
            if places:
                names = [name for name in named if name in known]
                fitted = np.array(self._quality.predict(request.features, names=names)).T
                _overlay(table, places, np.clip(fitted, 0.0, (1.0, math.inf)))
        return table

    def _tokens(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> F64:
        """Mean, median and upper quantile of the answer's length; shape (n, 3)."""
        limits = np.full(len(candidates), float(request.max_completion_tokens or math.inf))
        card = np.array([c.profile.completion_tokens for c in candidates])
        table: F64 = np.minimum(card, limits)[:, None].repeat(3, axis=1)
        if self._length is not None and request.features is not None:
            places, rows = _known(candidates, self._length_rows)
            if places:
                fitted = self._length.predict(request.features, variants=rows, limit_tokens=limits[places])
                _overlay(table, places, np.array(fitted).T)
        return table


def _rows(names: Sequence[str], parents: Mapping[str, str]) -> dict[str, int]:
    """Where each name stands, and each variant on trial whose parent stands there."""
    own = {name: row for row, name in enumerate(names)}
    return {child: own[parent] for child, parent in parents.items() if parent in own} | own


def _known(candidates: Sequence[Candidate], rows: Mapping[str, int]) -> tuple[list[int], list[int]]:
    """Positions of the candidates that are known, and their rows."""
    found = [(place, rows[candidate.name]) for place, candidate in enumerate(candidates) if candidate.name in rows]
    return [place for place, _ in found], [row for _, row in found]


def _overlay(table: F64, places: Sequence[int], fitted: F64) -> None:
    """Put fitted figures in place of the card's, but for rows that are not finite."""
    sound = np.isfinite(fitted).all(axis=1)
    table[np.asarray(places)[sound]] = fitted[sound]


def _estimate(request: RoutingRequest, candidate: Candidate, row: Sequence[float]) -> Estimate:
    quality, quality_se, tokens, wait_s, ttft_s, ttft_high_s, tpot_s, latency_s, latency_high_s = row
    busy_s = ttft_s - wait_s + max(0.0, tokens - 1.0) * tpot_s
    return Estimate(
        quality=quality,
        quality_se=quality_se,
        ttft_s=ttft_s,
        ttft_high_s=ttft_high_s,
        tpot_s=tpot_s,
        completion_tokens=tokens,
        latency_s=latency_s,
        latency_high_s=latency_high_s,
        cost_usd=cost_usd(
            candidate, prompt_tokens=request.prompt_tokens, completion_tokens=tokens, busy_s=max(0.0, busy_s)
        ),
    )
