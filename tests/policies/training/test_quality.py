"""The quality fit: what scikit-learn says, calibrated, and better than the mean where prompts tell anything."""

from __future__ import annotations

import numpy as np
import pytest

from policies.estimators.artifact import decode, encode
from policies.estimators.quality import KIND, OnlineQuality, QualityModel
from policies.features.layout import VERSION
from policies.training.design import Design, Scaling
from policies.training.quality import Judgements, fit_quality, ridge_heads
from tests.quality_worlds import NAMES, World, world


def test_serving_predicts_what_scikit_learn_fitted() -> None:
    """Parity: the arrays in float32 against the regression in float64, at most 1e-4 apart."""
    here = world(400, seed=0)
    model = fit_quality(here.features, here.judged(seed=1), variants=NAMES)
    matrix = Design.of(here.features, Scaling.of(here.features)).matrix
    coefficients, bias = ridge_heads(matrix, here.judged(seed=1), k=len(NAMES), penalty=model.penalty)
    # The calibration's line is folded into what is served: take it from the constant part.
    served = np.array([model.heads.scores(model.inputs(f)) for f in here.features])
    fitted = matrix @ coefficients + bias
    for variant in range(len(NAMES)):
        slope, level = np.polyfit(fitted[:, variant], served[:, variant], 1)
        assert np.abs(slope * fitted[:, variant] + level - served[:, variant]).max() < 1e-4


def test_it_tells_prompts_apart_better_than_the_mean_does() -> None:
    here, there = world(2000, seed=0), world(500, seed=2)
    model = fit_quality(here.features, here.judged(seed=1), variants=NAMES)
    predicted = predictions(model, there)
    errors = ((predicted - there.truth) ** 2).mean()
    assert errors < 0.5 * ((there.truth - here.truth.mean(axis=0)) ** 2).mean()


def test_under_bandit_feedback_it_is_calibrated_out_of_sample() -> None:
    """Binned by prediction, the truth's mean lies within 0.08; 5,000 records, and 2,000 others to look at."""
    here, there = world(5000, seed=3), world(2000, seed=4)
    model = fit_quality(here.features, here.judged(seed=5), variants=NAMES)
    predicted = predictions(model, there)
    for variant in range(len(NAMES)):
        order = np.argsort(predicted[:, variant])
        for bin_ in np.array_split(order, 5):
            assert predicted[bin_, variant].mean() == pytest.approx(there.truth[bin_, variant].mean(), abs=0.08)


def test_a_fit_is_stored_and_read_back() -> None:
    here = world(100, seed=0)
    model = fit_quality(here.features, here.judged(seed=1), variants=NAMES)
    data = encode(model.to_artifact(layout=VERSION, facts={"rows": 100}))
    back = QualityModel.from_artifact(decode(data, kind=KIND, layout=VERSION))
    assert len(data) < 2_000_000
    assert (predictions(back, here) == predictions(model, here)).all()


def test_few_records_give_their_mean_and_say_that_they_are_few() -> None:
    here = world(6, seed=0)
    everything = Judgements(
        request=np.arange(6), variant=np.zeros(6, int), score=np.array([1.0, 0, 1, 0, 1, 0]), weight=np.ones(6)
    )
    quality = OnlineQuality(fit_quality(here.features, everything, variants=("only",)))
    [estimate], [se] = quality.predict(here.features[0], names=["only"])
    assert estimate == pytest.approx(0.5, abs=0.15)
    assert se > 0.1


def test_a_weight_counts_like_so_many_records() -> None:
    here = world(300, seed=0)
    once = here.judged(seed=1)
    rows = np.arange(300)
    matrix = Design.of(here.features, Scaling.of(here.features)).matrix
    twice = ridge_heads(matrix, once[np.concatenate((rows, rows[:50]))], k=3, penalty=15.0)
    heavy = Judgements(
        request=once.request, variant=once.variant, score=once.score, weight=np.where(rows < 50, 2.0, 1.0)
    )
    for weighed, repeated in zip(ridge_heads(matrix, heavy, k=3, penalty=15.0), twice, strict=True):
        assert np.abs(weighed - repeated).max() < 2e-3


def predictions(model: QualityModel, here: World) -> np.ndarray:
    quality = OnlineQuality(model)
    return np.array([quality.predict(f, names=NAMES)[0] for f in here.features])
