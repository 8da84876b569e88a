"""One training, from rows to what is worth using of it. Pure: the same rows give the same bytes.

Each estimator is fitted on the first part of the rows, calibrated on the second, and held against what is there on
the third, and kept if it does better. What is kept is what was tested: nothing is fitted again afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.estimators.artifact import Artifact
from policies.estimators.card import CardEstimator
from policies.estimators.learned import composed
from policies.features.layout import VERSION
from policies.training import latency, length
from policies.training.constant import ConstantEstimator
from policies.training.dataset import Dataset
from policies.training.gate import ALL, Comparison, compare, restricted
from policies.training.losses import losses, usable
from policies.training.predict import Predictions, predict
from policies.training.quality import Judgements, fit_quality
from policies.training.report import Line, lines
from policies.training.split import Split, by_time
from policies.types import Candidate

__all__ = ("KINDS", "STAGES", "Trained", "train")

KINDS = ("length", "latency", "quality")
"""In the order in which they are fitted: times are predicted for lengths as they will be predicted."""

STAGES = (*KINDS, "report")


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """What a training came to."""

    artifacts: dict[str, Artifact]
    """By kind, new ones only; a kind of which nothing did better is missing."""
    split: Split
    high: float
    """Level of the upper quantiles."""
    comparisons: list[Comparison]
    lines: list[Line]


def train(
    data: Dataset,
    *,
    candidates: Mapping[str, Candidate],
    in_force: Mapping[str, Artifact] | None = None,
    high: float = 0.95,
    kinds: Collection[str] = KINDS,
    on_stage: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Fit, calibrate, test and keep what does better.

    Args:
        data: Rows, all of variants in `candidates`.
        candidates: Variants with their profiles and prices.
        in_force: Estimators that decide now, by kind. They may have been fitted on rows that the new ones are tested
            on, which is to their advantage.
        high: Level of the upper quantiles.
        kinds: What to fit.
        on_stage: Told when each of `STAGES` begins.
    """
    before, now = dict(in_force or {}), dict(in_force or {})
    strata = np.char.add(data.variant, np.where(usable("quality", data), "/judged", ""))
    split = by_time(data.created_at_s, strata=strata)
    test = data.take(split.test)
    said_before = predict(test, composed(before), candidates)
    comparisons: list[Comparison] = []
    for kind in (kind for kind in KINDS if kind in kinds):
        on_stage(kind)
        if (artifact := _fit(kind, data, split, now, candidates, high=high)) is None:
            continue
        held = _Held(kind=kind, data=test, before=losses(kind, said_before, test, high=high), high=high)
        said = predict(test, composed({**now, kind: artifact}), candidates)
        each = [held.compare(name, said) for name in artifact.variants]
        comparisons += each
        tolerable = [c.variant for c in each if c.tolerable]
        if (worth := restricted(artifact, tolerable)) is not None:
            # A variant left out falls back to its card, and that may be worse than what is in force for it.
            said = predict(test, composed({**now, kind: worth}), candidates)
            comparisons.append(together := held.compare(ALL, said))
            if together.better:
                now[kind] = worth
    on_stage("report")
    said_by = {"fitted": predict(test, composed(now), candidates)}
    if before:
        said_by["in force"] = said_before
    said_by["card"] = predict(test, CardEstimator(), candidates)
    said_by["constant"] = predict(test, ConstantEstimator(data.take(split.train), high=high), candidates)
    return Trained(
        artifacts={kind: artifact for kind, artifact in now.items() if artifact is not before.get(kind)},
        split=split,
        high=high,
        comparisons=comparisons,
        lines=lines(test, said_by, high=high),
    )


def _fit(
    kind: str,
    data: Dataset,
    split: Split,
    now: Mapping[str, Artifact],
    candidates: Mapping[str, Candidate],
    *,
    high: float,
) -> Artifact | None:
    """One estimator, or None where no row says anything about it."""
    says = usable(kind, data)
    train, calibrate = (data.take(rows[says[rows]]) for rows in (split.train, split.calibrate))
    if not len(train):
        return None
    if kind == "length":
        return length.fit(train, calibrate=calibrate, high=high)
    if kind == "latency":
        artifact = latency.fit(train, candidates=candidates, high=high)
        said = predict(calibrate, composed({**now, kind: artifact}), candidates)
        return latency.with_stretch(artifact, high_s=said.latency_high_s, data=calibrate)
    # Its calibration is out of sample already, fold by fold.
    rows = np.concatenate((split.train, split.calibrate))
    return _quality(data.take(rows[says[rows]]))


def _quality(rows: Dataset) -> Artifact:
    variants, indices = np.unique(rows.variant, return_inverse=True)
    judgements = Judgements(request=_requests(rows), variant=indices, score=rows.quality, weight=rows.quality_weight)
    model = fit_quality(rows.features, judgements, variants=tuple(variants.tolist()))
    return model.to_artifact(layout=VERSION, facts={"rows": len(rows)})


def _requests(rows: Dataset) -> NDArray[np.int64]:
    """Which rows are answers of several variants to one request, as those of a calibration are.

    Rows with the same features are; a variant's second answer to them opens another request. The first row of each
    stands for it.
    """
    first: dict[tuple[bytes, int], int] = {}
    answers: Counter[tuple[bytes, str]] = Counter()
    requests = np.empty(len(rows), np.int64)
    for row, (f, variant) in enumerate(zip(rows.features, rows.variant.tolist(), strict=True)):
        asked = b"".join((f.grams.tobytes(), f.counts.tobytes(), f.groups.tobytes()))
        answers[asked, variant] += 1
        requests[row] = first.setdefault((asked, answers[asked, variant]), row)
    return requests


@dataclass(frozen=True, kw_only=True)
class _Held:
    """Held-out rows, and how what is in force does on them."""

    kind: str
    data: Dataset
    before: NDArray[np.float64]
    high: float

    def compare(self, name: str, said: Predictions) -> Comparison:
        """Hold predictions against it, on the rows of a variant or on all."""
        mine = usable(self.kind, self.data)
        if name != ALL:
            mine = mine & (self.data.variant == name)
        after = losses(self.kind, said, self.data, high=self.high)
        weight = self.data.quality_weight[mine] if self.kind == "quality" else None
        return compare(self.kind, name, before=self.before[mine], after=after[mine], weight=weight)
