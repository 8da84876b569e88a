"""What a simulation comes to: one object per table, the same for every protocol, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

__all__ = ("BudgetFigures", "Figures", "Result", "Sampled", "figures", "mean_over_seeds", "percentiles")

F64 = NDArray[np.float64]

RESAMPLES = 400
OURS = "trilemma"

Interval = tuple[float, float]


class BudgetFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One budget of several."""

    budget_usd: float
    quality: float
    cost_usd: float | None = None
    """None where only the quality was published, as `overspend`."""
    overspend: float | None = None
    """Mean over the seeds."""
    overspend_max: float | None = None
    """Of the worst seed."""
    ci95: dict[str, Interval] = {}
    ours_above: dict[str, Interval] | UnsetType = UNSET
    """As in `Figures`."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One method. None is what a protocol does not measure; what only one protocol knows is left out elsewhere."""

    quality: float | None = None
    cost_usd: float | None = None
    overspend: float | None = None
    apgr: float | None = None
    cpt50: float | None = None
    cpt80: float | None = None
    aiq: float | None = None
    sla_attainment: float | None = None
    p50_us: float | None = None
    """Of one choice, its features already at hand."""
    p99_us: float | None = None
    ci95: dict[str, Interval] = {}
    ours_above: dict[str, Interval] | UnsetType = UNSET
    """By how much our method exceeds this one: 95 % intervals of paired differences."""
    utility: float | UnsetType = UNSET
    share_of_full_information: float | UnsetType = UNSET
    """Utility above the best fixed variant, relative to that of a router fitted with full information."""
    gap_after_drift: dict[str, float] | UnsetType = UNSET
    """By scenario: how far below the re-fitted optimum, relative to it, at the end of the time to recover."""
    recovery_requests: dict[str, list[int | None]] | UnsetType = UNSET
    """By scenario and seed: requests from the change until the utility is near the re-fitted optimum again."""
    gain_points: float | UnsetType = UNSET
    """Utility, or quality, above the best fixed arm, in hundredths."""
    gain_points_se: float | UnsetType = UNSET
    gain_at_end_points: float | UnsetType = UNSET
    """The same of what it would choose at the end, without exploring, on other rows."""
    gain_at_end_points_se: float | UnsetType = UNSET
    gains_points: list[float] | UnsetType = UNSET
    """`gain_points` of each order of arrival."""
    tenants: dict[str, dict[str, float]] | UnsetType = UNSET
    budgets: list[BudgetFigures] | UnsetType = UNSET
    frontier: list[tuple[float, float]] | UnsetType = UNSET
    """Mean cost and mean quality that it reaches."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One table under one protocol."""

    table: str
    protocol: str
    seeds: int
    methods: dict[str, Figures]
    rows: int
    """Requests that were compared on."""
    rows_left_out: int
    """Requests that lack an outcome of some arm."""
    arms: tuple[str, ...]
    tagged: bool
    """Whether a row's source was given to the routers as a tag."""
    features_us: float
    """Mean microseconds to extract the features of one prompt, which `p50_us` leaves out."""
    facts: dict[str, float | int | str | None] = {}
    """What else the figures rest on."""


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """A figure and its bootstrap replicates; replicates of the same number are of the same resample."""

    value: float
    replicates: F64 = field(default_factory=lambda: np.zeros(0))

    @property
    def interval(self) -> Interval:
        """Percentile interval of 95 %."""
        return _interval(self.replicates)


def mean_over_seeds(values: list[float]) -> Sampled:
    """The mean, resampling seeds: what another set of seeds might have given."""
    of = np.array(values)
    picks = np.random.default_rng(0).integers(len(of), size=(RESAMPLES, len(of)))
    return Sampled(value=float(of.mean()), replicates=of[picks].mean(axis=1))


def percentiles(took_us: NDArray[np.float32]) -> dict[str, float]:
    """Median and 99th percentile of what choices took."""
    p50_us, p99_us = np.percentile(took_us, (50, 99)).tolist()
    return {"p50_us": p50_us, "p99_us": p99_us}


def figures(sampled: Mapping[str, Sampled], ours: Mapping[str, Sampled] | None, **more: object) -> Figures:
    """The figures of a method, with intervals, and with paired differences where ours are given."""
    values = {name: of.value for name, of in sampled.items()}
    ci95 = {name: of.interval for name, of in sampled.items() if len(of.replicates)}
    above = {
        name: _interval(ours[name].replicates - of.replicates)
        for name, of in sampled.items()
        if ours is not None and name in ours and len(of.replicates) == len(ours[name].replicates) > 0
    }
    return msgspec.convert(values | {"ci95": ci95} | ({"ours_above": above} if above else {}) | more, Figures)


def _interval(replicates: F64) -> Interval:
    low, high = np.nanpercentile(replicates, (2.5, 97.5))
    return float(low), float(high)
