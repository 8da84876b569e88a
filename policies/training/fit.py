"""One training, from answered requests to what is worth using of it. Pure: the same samples give the same bytes.

Two kinds are fitted: how requests are seen when answers are predicted (`answers`), and how long answers take
(`latency`). Each fit is held against what is in force on later requests that it has not seen; what does better is
fitted again on all of them, and takes its place. A variant that was hardly ever chosen is not left out: what little
is known of it is drawn to what is known of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.errors import ArtifactError
from policies.estimators.artifact import Artifact
from policies.estimators.card import CardEstimator
from policies.estimators.latency import CARD, LatencyModel
from policies.learner.fit import Fit, first_fit
from policies.learner.learner import Learner
from policies.samples import Sample
from policies.training import latency
from policies.training.answers import counted, refitted_answers
from policies.training.constant import ConstantEstimator
from policies.training.dataset import Dataset
from policies.training.gate import ALL, Comparison, compare
from policies.training.losses import time_losses, usable
from policies.training.predict import Predictions, predict
from policies.training.report import Line, lines
from policies.training.split import by_time
from policies.types import Candidate

__all__ = ("KINDS", "STAGES", "Trained", "train")

ANSWERS, LATENCY = "answers", "latency"
KINDS = (ANSWERS, LATENCY)
"""In the order in which they are fitted: times are predicted for lengths as they will be predicted."""

STAGES = (*KINDS, "report")


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """What a training came to."""

    artifacts: dict[str, Artifact]
    """By kind, of those that are promoted."""
    promoted: dict[str, bool]
    """By kind, whether its new fit takes the place of what is in force."""
    because: dict[str, str]
    """By kind, why or why not, in one sentence."""
    comparisons: list[Comparison]
    """On held-out requests, behind these."""
    lines: list[Line]
    """How well each predicts held-out requests."""


def train(
    samples: Sequence[Sample],
    *,
    candidates: Mapping[str, Candidate],
    in_force: Mapping[str, Artifact],
    high: float = 0.95,
    on_stage: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Fit, hold against what is in force, and keep what does better.

    Args:
        samples: Answered requests, oldest first, at least one; all of variants in `candidates`.
        candidates: Variants with their profiles and prices.
        in_force: Artifacts that decide now, by kind; one that cannot be used counts as missing. They may have been
            fitted on rows that the new ones are held against, which is to their advantage.
        high: Level of the upper quantiles.
        on_stage: Told when each of `STAGES` begins.
    """
    on_stage(ANSWERS)
    before = _answers_in_force(in_force)
    profiles = {name: candidate.profile for name, candidate in candidates.items()}
    fit, verdict = refitted_answers(samples, before, profiles=profiles)
    on_stage(LATENCY)
    held = _Held.of(samples, candidates, fit if verdict.promoted else before, high=high)
    times = _latency(held, _times_in_force(in_force))
    on_stage("report")
    artifacts = {} if times.artifact is None else {LATENCY: times.artifact}
    if verdict.promoted:
        names = tuple(sorted({sample.variant for sample in samples}))
        artifacts[ANSWERS] = fit.to_artifact(variants=names, facts={"rows": len(samples)})
    return Trained(
        artifacts=artifacts,
        promoted={kind: kind in artifacts for kind in KINDS},
        because={ANSWERS: verdict.because, LATENCY: times.because},
        comparisons=[*verdict.comparisons, *times.comparisons],
        lines=held.lines(times.served, before=before, now=times.before),
    )


def _answers_in_force(in_force: Mapping[str, Artifact]) -> Fit:
    """As it serves; one that cannot be used serves nowhere either."""
    try:
        return Fit.from_artifact(in_force[ANSWERS]) if ANSWERS in in_force else first_fit()
    except ArtifactError:
        return first_fit()


def _times_in_force(in_force: Mapping[str, Artifact]) -> LatencyModel:
    try:
        return LatencyModel.from_artifact(in_force[LATENCY]) if LATENCY in in_force else CARD
    except ArtifactError:
        return CARD


@dataclass(frozen=True, kw_only=True)
class _Held:
    """Requests in three parts by time, and learners that have counted those before the one they are asked about."""

    data: Dataset
    train: Dataset
    calibrate: Dataset
    test: Dataset
    candidates: Mapping[str, Candidate]
    fit: Fit
    high: float

    @classmethod
    def of(cls, samples: Sequence[Sample], candidates: Mapping[str, Candidate], fit: Fit, *, high: float) -> _Held:
        data = Dataset.of(samples)
        strata = np.char.add(data.variant, np.where(usable("quality", data), "/judged", ""))
        parts = [data.take(rows) for rows in by_time(data.created_at_s, strata=strata)]
        return cls(
            data=data,
            train=parts[0],
            calibrate=parts[1],
            test=parts[2],
            candidates=candidates,
            fit=fit,
            high=high,
        )

    def after(self, *parts: Dataset) -> Learner:
        """A learner that has counted these parts."""
        samples = sorted((s for part in parts for s in part.samples), key=lambda sample: sample.created_at_s)
        profiles = {name: candidate.profile for name, candidate in self.candidates.items()}
        return counted(self.fit, samples, profiles=profiles)

    def predicted(self, data: Dataset, learner: Learner, times: LatencyModel) -> Predictions:
        """What a learner says of rows, with these times."""
        learner.latency = times
        return predict(data, learner, self.candidates)

    def lines(self, times: LatencyModel, *, before: Fit, now: LatencyModel) -> list[Line]:
        """Scores on the last part, beside those of what is in force and of what needs no learning."""
        learner = self.after(self.train, self.calibrate)
        was = learner if before is self.fit else replace(self, fit=before).after(self.train, self.calibrate)
        said = {
            "fitted": self.predicted(self.test, learner, times),
            "in force": self.predicted(self.test, was, now),
            "card": predict(self.test, CardEstimator(), self.candidates),
            "constant": predict(self.test, ConstantEstimator(self.train, high=self.high), self.candidates),
        }
        return lines(self.test, said, high=self.high)


@dataclass(frozen=True, kw_only=True)
class _Times:
    """What the fit of times came to."""

    before: LatencyModel
    because: str
    artifact: Artifact | None = None
    """None where it does not do better."""
    tested: LatencyModel | None = None
    """As it was held against what is in force."""
    comparisons: tuple[Comparison, ...] = ()

    @property
    def served(self) -> LatencyModel:
        """What predicts times from now on, as far as it was fitted on the first part alone."""
        return self.before if self.artifact is None or self.tested is None else self.tested


def _latency(held: _Held, before: LatencyModel) -> _Times:
    """Fit times, and hold them against those in force, for lengths that are predicted alike.

    Variants are compared with each other when one is chosen. So a fit is not used for those alone for which it
    happens to look good: it is used for all for which it is not found worse, if it is better for these together.
    """
    timed = usable(LATENCY, held.train)
    if not timed.any() or not usable(LATENCY, held.test).any():
        return _Times(before=before, because="There are too few answers whose times are known.")
    artifact = latency.fit(held.train.take(timed), candidates=held.candidates, high=held.high)
    calibrate = held.calibrate.take(usable(LATENCY, held.calibrate))
    said = held.predicted(calibrate, held.after(held.train), LatencyModel.from_artifact(artifact))
    artifact = latency.with_stretch(artifact, high_s=said.latency_high_s, data=calibrate)
    test, learner = held.test.take(usable(LATENCY, held.test)), held.after(held.train, held.calibrate)

    def losses(times: LatencyModel) -> NDArray[np.float64]:
        return time_losses(held.predicted(test, learner, times), test, high=held.high)

    were, are = losses(before), losses(LatencyModel.from_artifact(artifact))
    by_variant = {name: test.variant == name for name in artifact.variants}
    each = [compare(LATENCY, n, before=were[mine], after=are[mine]) for n, mine in by_variant.items()]
    kept = latency.restricted(artifact, [c.variant for c in each if not c.worse])
    if kept is None:
        return _Times(before=before, because="It is worse for every variant.", comparisons=tuple(each))
    # A variant left out falls back to its card, and that may be worse than what is in force for it.
    model = LatencyModel.from_artifact(kept)
    together = compare(LATENCY, ALL, before=were, after=losses(model))
    found = f"On {together.n} later answers it saves {together.gain:+.1%} ± {together.gain_se:.1%} of the loss"
    return _Times(
        before=before,
        because=f"{found}." if together.better else f"{found}, which is not enough.",
        artifact=_refitted(held, kept) if together.better else None,
        tested=model,
        comparisons=(*each, together),
    )


def _refitted(held: _Held, kept: Artifact) -> Artifact:
    return latency.refitted(kept, held.data.take(usable(LATENCY, held.data)), candidates=held.candidates)
