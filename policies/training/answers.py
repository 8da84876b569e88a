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
    drawn = after.drawn
    variants = sorted({sample.variant for sample in earlier})
    fixed = after.fixed(max(variants, key=lambda name: _mean([s for s in earlier if s.variant == name])))
    weight = after.weight[drawn]
    return _verdict(
        paired(before.losses - after.losses, kind=KIND, figure="squared error", weight=after.weight),
        paired((after.values - before.values)[drawn], kind=KIND, figure="decision value", weight=weight),
        paired((after.values - fixed)[drawn], kind=KIND, figure="value over the best fixed variant", weight=weight),
        rows=len(later),
    )


def _verdict(error: Comparison, value: Comparison, over_fixed: Comparison, *, rows: int) -> Verdict:
    """Promoted if neither error nor value is worse than in force, and one is better.

    A fit that is worse than always taking one variant is not promoted either, unless it decides better than what is
    in force, which is then worse still.
    """
    found = (error, value, over_fixed)
    gains = ", ".join(f"{c.gain:+.4f} ± {c.gain_se:.4f} in {c.figure}" for c in found if c.n)
    worse = next((c for c in (error, value) if c.gain < -c.gain_se), None)
    if worse is None and over_fixed.gain < -over_fixed.gain_se and value.gain <= 0.0:
        worse = over_fixed
    better = error.gain > 0.0 or value.gain > 0.0
    if worse is not None:
        because = f"On {rows} later answers its {worse.figure} is worse: it gains {gains}."
    elif not better:
        because = f"On {rows} later answers it is no better: it gains {gains}."
    else:
        because = f"On {rows} later answers it gains {gains}."
    return Verdict(promoted=worse is None and better, because=because, rows=rows, comparisons=found)


class _Held(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a learner makes of rows it does not know; n of them."""

    losses: F64
    """Squared error of the predicted quality of the variant that answered."""
    values: F64
    """Doubly robust value of choosing the variant predicted best."""
    drawn: NDArray[np.bool_]
    """Whether the variant was drawn with a propensity: early answers and pinned ones tell nothing of a policy."""
    weight: F64
    took: NDArray[np.intp]
    quality: F64
    propensity: F64
    names: tuple[str, ...]
    means: F64
    """The common model of rewards: each variant's mean, so that only the choices differ; shape (k,)."""

    @classmethod
    def of(cls, learner: Learner, rows: Sequence[Sample]) -> _Held:
        names = learner.variants
        predicted = np.array([learner.qualities(s.tenant, s.features) for s in rows]).reshape(len(rows), len(names))
        places = {name: place for place, name in enumerate(names)}
        took = np.array([places.get(s.variant, 0) for s in rows])
        quality, counts = np.array([judgement(s) for s in rows], np.float64).T
        said = np.clip(predicted[np.arange(len(rows)), took], 0.0, 1.0)
        means = np.array([_mean([s for s in rows if s.variant == name]) for name in names])
        propensity = np.array([s.propensity for s in rows])
        best = predicted.argmax(axis=1)
        return cls(
            losses=(quality - said) ** 2,
            values=_doubly_robust(best, took, quality, means=means, propensity=propensity),
            drawn=propensity < 1.0,
            weight=counts,
            took=took,
            quality=quality,
            propensity=propensity,
            names=names,
            means=means,
        )

    def fixed(self, name: str) -> F64:
        """Doubly robust value of always choosing one variant."""
        always = np.full(len(self.took), self.names.index(name))
        return _doubly_robust(always, self.took, self.quality, means=self.means, propensity=self.propensity)


def _doubly_robust(
    choice: NDArray[np.intp], took: NDArray[np.intp], quality: F64, *, means: F64, propensity: F64
) -> F64:
    """`means[choice] + [choice = took] / propensity * (quality - means[took])`; shape (n,)."""
    weights = np.where(choice == took, 1.0 / np.maximum(propensity, LEAST_PROPENSITY), 0.0)
    values: F64 = means[choice] + weights * (quality - means[took])
    return values


LEAST_PROPENSITY = 0.05
"""Propensities are taken to be at least this, so that no single row decides."""


def _mean(rows: Sequence[Sample]) -> float:
    """Mean quality, drawn to a half by two answers."""
    scores = [judged[0] for sample in rows if (judged := judgement(sample)) is not None]
    return (1.0 + sum(scores)) / (2.0 + len(scores))
