"""Whether a log can tell of a policy at all: what no interval shows.

An interval tells how much another log of the same kind would have differed. Where the log has never done what the
target does, all such logs agree, and are wrong together: support has to be looked at apart.
"""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.evaluation.estimators import SWITCH_THRESHOLD
from policies.evaluation.logged import SUM_TOLERANCE, LoggedBatch

__all__ = ("Problem", "Support", "SupportIssue", "effective_sample_size", "problems", "support")

F64 = NDArray[np.float64]

MIN_CHANCE = 1e-6
"""Chance of the sum of weights below which the propensities are not taken to be true."""


class SupportIssue(StrEnum):
    """Why a log cannot tell. Closed: it doubles as a metric label."""

    FEW_ROWS = "few_rows"
    """Too few rows count: the effective sample size is below its floor."""
    NEVER_POSSIBLE = "never_possible"
    """The target does what the logging policy gave probability 0."""
    NEVER_TRIED = "never_tried"
    """The target uses a variant that was never chosen."""
    WRONG_PROPENSITIES = "wrong_propensities"
    """The choices do not look drawn from the propensities logged with them."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One reason not to believe an evaluation."""

    issue: SupportIssue
    detail: str
    """For a person: the figure against its limit."""


class Support(msgspec.Struct, frozen=True, kw_only=True):
    """What of a target policy a log covers."""

    rows: int
    ess: float
    """Effective sample size, in rows."""
    max_weight: float
    clipped_share: float
    """Of the rows: those whose weight is above the threshold of SWITCH-DR."""
    weight_chance: float
    """How likely, at most, weights are in sum as far from what the logged propensities let expect; in [0, 1]."""
    impossible_mass: float
    """Mean target probability of what the logging policy gave none; in [0, 1]."""
    untried: dict[str, float]
    """Variants never chosen that the target uses, with its mean probability for each."""


def effective_sample_size(weights: F64) -> float:
    """(sum w)^2 / sum w^2: how many equally weighted rows would tell as much (Kish, 1965); 0 without any weight."""
    total = float(weights.sum())
    # Scaled first, so that the squares of tiny or huge weights are numbers.
    return float(1.0 / ((weights / total) ** 2).sum()) if total > 0.0 else 0.0


def support(batch: LoggedBatch, *, threshold: float = SWITCH_THRESHOLD) -> Support:
    """Measure the overlap of the two policies of a batch."""
    weights = batch.weights
    tried = np.bincount(batch.actions, minlength=len(batch.variants)) > 0
    mass = batch.target.mean(axis=0)
    return Support(
        rows=len(batch),
        ess=effective_sample_size(weights),
        max_weight=float(weights.max()),
        clipped_share=float((weights > threshold).mean()),
        weight_chance=_weight_chance(batch, threshold),
        impossible_mass=float(np.where(batch.logging > 0.0, 0.0, batch.target).sum(axis=1).mean()),
        untried={name: float(mass[i]) for i, name in enumerate(batch.variants) if mass[i] > 0.0 and not tried[i]},
    )


def problems(found: Support, *, min_ess: float, max_missing: float = 0.0) -> tuple[Problem, ...]:
    """What speaks against believing an evaluation; empty when support suffices.

    Args:
        found: The support of the batch.
        min_ess: Least effective sample size, in rows.
        max_missing: Largest target probability, in [0, 1], on what was impossible or never tried. The reward of that
            much is unknown, so the value is uncertain by as much of the reward's range, whatever the interval says.
    """
    untried = sum(found.untried.values())
    names = ", ".join(found.untried)
    checks = (
        (SupportIssue.FEW_ROWS, found.ess < min_ess, f"effective sample size {found.ess:.1f} < {min_ess:g}"),
        (
            SupportIssue.NEVER_POSSIBLE,
            found.impossible_mass > max_missing,
            f"target probability {found.impossible_mass:.3g} > {max_missing:g} on choices the log had excluded",
        ),
        (
            SupportIssue.NEVER_TRIED,
            untried > max_missing,
            f"target probability {untried:.3g} > {max_missing:g} on variants never chosen: {names}",
        ),
        (
            SupportIssue.WRONG_PROPENSITIES,
            found.weight_chance < MIN_CHANCE,
            f"choices drawn from these propensities give such weights with a chance below {MIN_CHANCE:g}",
        ),
    )
    return tuple(Problem(issue=issue, detail=detail) for issue, holds, detail in checks if holds)


def _weight_chance(batch: LoggedBatch, threshold: float) -> float:
    """Bernstein's inequality for the sum of the weights, each cut at the threshold.

    Both policies are known, hence the mean and the variance of a row's weight under the logging one; a sum that is
    far off tells that something else made the choices. Rare large weights may well not have come: hence the cut.
    """
    cut = np.minimum(batch.ratios, threshold)
    mean = (batch.logging * cut).sum(axis=1)
    variance = float(((batch.logging * cut**2).sum(axis=1) - mean**2).clip(min=0.0).sum())
    off = abs(float((batch.chosen(cut) - mean).sum()))
    # Without any variance a sum may be off by rounding alone.
    spread = 2.0 * (variance + float(cut.max()) * off / 3.0)
    return min(1.0, 2.0 * math.exp(-(off**2) / spread)) if off > SUM_TOLERANCE * len(batch) else 1.0
