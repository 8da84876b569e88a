"""Fits the model of answers on the log, and says whether the fit should take the place of the one in force.

What is fitted is how requests are seen: the basis, and how much each part of it varies. What variants do is counted
again under the new basis by the learner that takes it. So two fits are compared by counting the earlier part of the
rows under each, and holding both against the later part: are predictions better calibrated, and are decisions worth
more?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.learner.fit import KIND, Fit
from policies.learner.known import judgement
from policies.learner.learner import Learner
from policies.learner.model import ANYONE
from policies.learner.posterior import solve
from policies.samples import Sample
from policies.training.basis import fit_basis
from policies.training.gate import Comparison, paired
from policies.types import Profile

__all__ = ("Verdict", "counted", "fit_answers", "held_against", "refitted_answers")

F64 = NDArray[np.float64]

EVIDENCE_STEPS = 4
"""Solutions after which the variances hardly move any more."""

HELD_OUT = 0.3
"""Latest share of the judged rows that fits are compared on."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a fit is promoted, and why."""

    promoted: bool
    because: str
    """One sentence."""
    rows: int
    """Held-out rows that were judged."""
    comparisons: tuple[Comparison, ...] = ()


def fit_answers(samples: Sequence[Sample], *, start: Fit, seed: int = 0, directions: int | None = None) -> Fit:
    """A fit on requests, oldest first.

    Args:
        samples: Those without features are passed over; at least one has some.
        start: Where the variances begin.
        seed: Of the SVD.
        directions: Of the text; by the number of distinct prompts when absent.
    """
    basis = fit_basis([s.features for s in samples if s.features is not None], seed=seed, directions=directions)
    learner = counted(Fit(basis=basis, quality=start.quality, length=start.length), samples, profiles={})
    return Fit(basis=basis, quality=learner.variances("quality"), length=learner.variances("length"))


def refitted_answers(
    samples: Sequence[Sample], in_force: Fit, *, profiles: Mapping[str, Profile]
) -> tuple[Fit, Verdict]:
    """What a training makes of the log: a fit on all of it, and whether that takes the place of the one in force.

    Args:
        samples: Oldest first.
        in_force: Now.
        profiles: What is stated of the variants.
    """
    if not any(sample.features is not None for sample in samples):
        return in_force, Verdict(promoted=False, because="No request of the log has features to learn from.", rows=0)
    fit = fit_answers(samples, start=in_force)
    return fit, held_against(samples, fit, in_force, profiles=profiles)


def counted(fit: Fit, samples: Sequence[Sample], *, profiles: Mapping[str, Profile]) -> Learner:
    """A learner that knows these samples under a fit, its variances found."""
    learner = Learner().refitted(fit, ())
    learner.introduce(profiles)
    learner.absorb_all(samples)
    tenants = dict.fromkeys(sample.tenant for sample in samples)
    busiest = max(tenants, key=lambda tenant: sum(s.tenant == tenant for s in samples), default=ANYONE)
    for _ in range(EVIDENCE_STEPS):
        for job in learner.jobs(busiest, anyhow=True):
            learner.take(job, solve(job.problem))
    return learner


def held_against(samples: Sequence[Sample], new: Fit, in_force: Fit, *, profiles: Mapping[str, Profile]) -> Verdict:
    """Compare two fits on the later part of the judged rows.

    The new fit's directions of the text were found without labels, and so those of held-out prompts may be among
    them.

    Args:
        samples: Oldest first.
        new: To be promoted or not.
        in_force: Now.
        profiles: What is stated of the variants.
    """
    judged = [s for s in samples if s.features is not None and judgement(s) is not None]
    cut = round(len(judged) * (1.0 - HELD_OUT))
    earlier, later = judged[:cut], judged[cut:]
    if len(later) < 5 or len(earlier) < 5:
        return Verdict(promoted=False, because="There are too few judged answers to compare on.", rows=len(later))
    before = _Held.of(counted(in_force, earlier, profiles=profiles), later)
    after = _Held.of(counted(new, earlier, profiles=profiles), later)
    error = paired(before.losses - after.losses, kind=KIND, figure="squared error", weight=before.weight)
    value = paired(after.values - before.values, kind=KIND, figure="decision value", weight=before.weight)
    return _verdict(error, value, rows=len(later))


def _verdict(error: Comparison, value: Comparison, *, rows: int) -> Verdict:
    found = (error, value)
    worse = next((c for c in found if c.gain < -c.gain_se), None)
    gains = " and ".join(f"{c.gain:+.4f} ± {c.gain_se:.4f} in {c.figure}" for c in found)
    if worse is not None:
        because = f"On {rows} later answers its {worse.figure} is worse: it gains {gains}."
    elif not any(c.gain > 0.0 for c in found):
        because = f"On {rows} later answers it is no better: it gains {gains}."
    else:
        because = f"On {rows} later answers it gains {gains}."
    promoted = worse is None and any(c.gain > 0.0 for c in found)
    return Verdict(promoted=promoted, because=because, rows=rows, comparisons=found)


class _Held(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a learner makes of rows it does not know; n of them."""

    losses: F64
    """Squared error of the predicted quality of the variant that answered."""
    values: F64
    """Doubly robust value of choosing the variant predicted best."""
    weight: F64

    @classmethod
    def of(cls, learner: Learner, rows: Sequence[Sample]) -> _Held:
        names = learner.variants
        predicted = np.array([learner.qualities(s.tenant, s.features) for s in rows]).reshape(len(rows), len(names))
        places = {name: place for place, name in enumerate(names)}
        took = np.array([places.get(s.variant, 0) for s in rows])
        quality, counts = np.array([judgement(s) for s in rows], np.float64).T
        every = np.arange(len(rows))
        said = np.clip(predicted[every, took], 0.0, 1.0)
        best = predicted.argmax(axis=1)
        # The common model of both: the mean of each variant, so that only the choices differ.
        weights = np.where(best == took, 1.0 / np.array([max(s.propensity, LEAST_PROPENSITY) for s in rows]), 0.0)
        means = np.array([_mean([s for s in rows if s.variant == name]) for name in names])
        values = means[best] + weights * (quality - means[took])
        return cls(losses=(quality - said) ** 2, values=values, weight=counts)


LEAST_PROPENSITY = 0.05
"""Propensities are taken to be at least this, so that no single row decides."""


def _mean(rows: Sequence[Sample]) -> float:
    """Mean quality, drawn to a half by two answers."""
    scores = [judged[0] for sample in rows if (judged := judgement(sample)) is not None]
    return (1.0 + sum(scores)) / (2.0 + len(scores))
