"""Fitting times: they find the truth, never fall when the load grows, and start from what the card says."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from sklearn.linear_model import QuantileRegressor

from policies.estimators.artifact import Artifact
from policies.estimators.latency import CARD, CARD_TTFT, LatencyModel, Times, ttft_terms
from policies.estimators.times import parts
from policies.training import latency
from policies.training.dataset import Dataset
from policies.training.latency import fit, latency_parts, with_stretch
from tests.training_rows import CANDIDATES, samples


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    """Fitted to many rows."""
    return fit(Dataset.of(samples(2000)), candidates=CANDIDATES)


def model_of(rows: Dataset) -> LatencyModel:
    return LatencyModel.from_artifact(fit(rows, candidates=CANDIDATES))


def predicted(model: LatencyModel, *, tokens: float = 50.0, prompt_tokens: int = 100, **load: int) -> Times:
    """The times of `full`."""
    candidate = msgspec.structs.replace(CANDIDATES["full"], **load)
    return model.predict(
        [parts(candidate, prompt_tokens=prompt_tokens)],
        prompt_tokens=prompt_tokens,
        variants=[model.names.index("full") if "full" in model.names else None],
        median_tokens=np.array([tokens]),
        high_tokens=np.array([tokens]),
    )


def test_what_is_always_slower_than_its_card_by_half_is_predicted_so(artifact: Artifact) -> None:
    model = LatencyModel.from_artifact(artifact)
    for load in ({}, {"running": 3}, {"running": 4, "queued": 2}):
        slow, plain = predicted(model, **load), predicted(CARD, **load)
        assert slow.ttft_s / plain.ttft_s == pytest.approx(1.5, rel=0.12)
        assert slow.tpot_s / plain.tpot_s == pytest.approx(1.5, rel=0.12)


def test_upper_quantiles_cover_what_they_say(artifact: Artifact) -> None:
    later = Dataset.of(samples(1000, seed=1))
    fresh = Dataset.of(samples(1000, seed=2))
    stretched = with_stretch(artifact, high_s=_high_s(artifact, later), data=later)
    # Binomial error 0.007; the calibration's is the same again.
    assert np.mean(fresh.latency_s <= _high_s(stretched, fresh)) == pytest.approx(0.95, abs=0.03)


def test_with_one_row_the_card_hardly_moves() -> None:
    rows = Dataset.of([msgspec.structs.replace(samples(1, variants=["full"])[0], ttft_s=60.0, tpot_s=9.0)])
    mine, card = predicted(model_of(rows)), predicted(CARD)
    assert mine.ttft_s[0] < 20 * card.ttft_s[0], "the row alone would say 300 times"


def test_terms_that_never_occurred_keep_the_cards_weights(artifact: Artifact) -> None:
    assert artifact.arrays["ttft"][:, 0, :] == pytest.approx(1.0), "nothing ever started cold"


@pytest.mark.parametrize("seed", range(5))
def test_no_time_falls_when_load_or_prompt_grow(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [
        msgspec.structs.replace(sample, ttft_s=float(rng.exponential(1.0)), tpot_s=float(rng.exponential(0.1)))
        for sample in samples(300, seed=seed)
    ]
    model = model_of(Dataset.of(rows))
    for more in ({"queued": 3}, {"running": 2}, {"prompt_tokens": 900}):
        before, after = predicted(model), predicted(model, **more)
        assert after.ttft_s >= before.ttft_s
        assert after.latency_s >= before.latency_s
        assert after.latency_high_s >= after.latency_s


def test_where_no_weight_would_be_negative_they_are_scikit_learns() -> None:
    rows = Dataset.of(samples(1500, variants=["full"]))
    terms = ttft_terms(latency_parts(rows, CANDIDATES)).T
    scale = terms @ np.array(CARD_TTFT)
    x, y = terms[:, 1:3] / scale[:, None], rows.ttft_s / scale
    reference = QuantileRegressor(quantile=0.5, alpha=0.0, fit_intercept=False).fit(x, y).coef_
    assert (reference > 0).all()
    mine = latency._weights(x, y, level=0.5)
    assert np.abs(mine - reference).max() < 1e-9


def _high_s(artifact: Artifact, rows: Dataset) -> np.ndarray:
    model = LatencyModel.from_artifact(artifact)
    table = latency_parts(rows, CANDIDATES).T
    return np.array(
        [
            model.predict(
                [row],
                prompt_tokens=tokens,
                variants=[model.names.index(name)],
                median_tokens=np.array([length]),
                high_tokens=np.array([length]),
            ).latency_high_s[0]
            for row, tokens, name, length in zip(
                table, rows.prompt_tokens, rows.variant, rows.completion_tokens, strict=True
            )
        ]
    )
