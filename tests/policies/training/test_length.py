"""Fitting lengths: the same as scikit-learn where nothing is cut, and not fooled where something is."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from policies.estimators.artifact import MAX_BYTES, encode
from policies.estimators.length import LengthModel
from policies.training.dataset import Dataset, Sample
from policies.training.length import PENALTY, design_matrix, fit
from policies.training.survival import censored_quantiles
from tests.training_rows import EASY, HARD, samples

UNLIMITED = np.full(2, np.inf)


def fitted(rows: Dataset, *, later: Dataset | None = None) -> LengthModel:
    return LengthModel.from_artifact(fit(rows, calibrate=later or Dataset.of(samples(600, seed=9))))


def test_the_served_regression_is_scikit_learns() -> None:
    rows = Dataset.of(samples(400, variants=["full"]))
    model = fitted(rows)
    hard = np.array([sample.features is HARD for sample in rows.samples])
    target = np.log(rows.completion_tokens)
    for features, mine in ((HARD, hard), (EASY, ~hard)):
        # Two prompts and one variant: all that a fit can say is one number each, their means under a small penalty.
        assert model.log_tokens(features)[0] == pytest.approx(target[mine].mean(), abs=0.05)


def test_serving_differs_from_scikit_learns_ridge_by_rounding_only() -> None:
    rows = Dataset.of(samples(500))
    served = LengthModel.from_artifact(fit(rows, calibrate=rows))
    matrix = design_matrix(rows, served.names, mean=served.surface_mean, sd=served.surface_sd)
    model = Ridge(alpha=PENALTY, solver="sparse_cg", tol=1e-8).fit(matrix, np.log(rows.completion_tokens))
    mine = [served.log_tokens(s.features)[served.names.index(s.variant)] for s in rows.samples]
    assert np.abs(np.array(mine) - model.predict(matrix)).max() < 1e-4


def test_the_median_and_the_upper_quantile_cover_what_they_say() -> None:
    model = fitted(Dataset.of(samples(1500)))
    fresh = samples(2000, seed=5)
    found = {id(f): model.predict(f, variants=[0, 1], limit_tokens=UNLIMITED) for f in (EASY, HARD)}
    place = {name: i for i, name in enumerate(model.names)}
    below = {
        part: np.mean([s.completion_tokens <= getattr(found[id(s.features)], part)[place[s.variant]] for s in fresh])
        for part in ("median", "high")
    }
    # Binomial errors of 2,000 rows are 0.011 and 0.005; those of the calibration rows about twice that.
    assert below == pytest.approx({"median": 0.5, "high": 0.95}, abs=0.05)


def test_answers_cut_at_a_limit_do_not_make_the_prediction_short() -> None:
    cut = Dataset.of(samples(1500, limit_tokens=150))
    assert 0.3 < cut.cut.mean() < 0.5
    model = fitted(cut, later=Dataset.of(samples(800, seed=3, limit_tokens=250)))
    assert np.exp(model.log_tokens(HARD)) == pytest.approx([200.0, 200.0], rel=0.2)
    naive = np.exp(np.log(cut.completion_tokens[[s.features is HARD for s in cut.samples]]).mean())
    assert naive < 150.0


def test_the_expected_length_ends_at_the_callers_limit_and_at_the_variants_own() -> None:
    model = fitted(Dataset.of(samples(600)))
    limited = model.predict(HARD, variants=[0, 1], limit_tokens=np.array([10.0, np.inf]))
    assert limited.mean[0] == limited.high[0] == 10.0
    assert limited.mean[1] > 100.0
    rows = samples(600)
    own = [r if r.completion_tokens <= 64 else _cut(r, 64) for r in rows]
    capped = fitted(Dataset.of(own)).predict(HARD, variants=[0, 1], limit_tokens=UNLIMITED)
    assert capped.high.tolist() == [64.0, 64.0]


def test_a_variant_of_few_rows_is_close_to_the_others() -> None:
    rows = [r for r in samples(800) if r.variant == "full"]
    few = [r for r in samples(800, seed=2) if r.variant == "quantized" and r.features is EASY][:3]
    model = fitted(Dataset.of(rows + few))
    full, quantized = np.exp(model.log_tokens(HARD))
    assert quantized == pytest.approx(full, rel=0.3), "three short answers do not make long ones short"


def test_a_fit_of_eight_variants_fits_into_an_artifact() -> None:
    names = [f"v{i}" for i in range(8)]
    rows = Dataset.of(samples(200, variants=["full"]))
    rows.variant[:] = [names[i % 8] for i in range(200)]
    assert len(encode(fit(rows, calibrate=rows))) < MAX_BYTES


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=60))
def test_quantiles_of_whole_values_are_the_ordinary_ones(values: list[float]) -> None:
    levels = np.array([0.1, 0.5, 0.95])
    mine = censored_quantiles(np.array(values), cut=np.zeros(len(values), np.bool_), levels=levels)
    assert mine.tolist() == np.quantile(values, levels, method="inverted_cdf").tolist()


def test_cut_values_are_no_evidence_below_where_they_were_cut() -> None:
    rng = np.random.default_rng(1)
    whole, limit = rng.normal(size=20_000), rng.normal(1.0, 1.0, size=20_000)
    seen, cut = np.minimum(whole, limit), whole > limit
    levels = np.array([0.25, 0.5, 0.75])
    truth = np.array([-0.674, 0.0, 0.674])
    assert censored_quantiles(seen, cut=cut, levels=levels) == pytest.approx(truth, abs=0.04)
    assert np.quantile(seen, 0.75) < 0.5, "what taking them as whole would say"


def _cut(sample: Sample, tokens: int) -> Sample:
    return msgspec.structs.replace(sample, completion_tokens=tokens, cut=True)
