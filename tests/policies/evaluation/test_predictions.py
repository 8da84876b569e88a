"""Predicted and realised figures are held against each other on the same answers."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from policies.evaluation.predictions import MAX_BINS, proportion, variant_figures
from policies.evaluation.routed import Realised, RoutedRequest
from tests.routed_worlds import NAMES, routed, routed_world, verdict


def test_figures_are_means_of_the_same_answers_with_their_errors() -> None:
    answers = [(0.4, 0.0, 1e-3), (0.6, 1.0, 3e-3)]
    requests = [
        routed(
            "a",
            verdict("a", propensity=1.0, quality=expected, latency_s=1.0, cost_usd=1e-3),
            realised=Realised(cost_usd=cost, latency_s=2.0, quality=score),
        )
        for expected, score, cost in answers
    ]
    requests.append(routed("a", verdict("a", propensity=1.0)))
    [found] = variant_figures(requests)
    assert (found.chosen, found.answered, found.judged, found.ttft_s) == (3, 2, 2, None)
    assert found.quality is not None
    assert (found.quality.predicted, found.quality.realised) == (pytest.approx(0.5), pytest.approx(0.5))
    assert found.quality.difference == pytest.approx(0.0)
    assert found.quality.difference_se == pytest.approx(0.4)
    assert found.cost_usd is not None
    assert found.cost_usd.ratio == pytest.approx(2.0)
    assert found.latency_s is not None
    assert (found.latency_s.ratio, found.latency_s.ratio_se) == (pytest.approx(2.0), pytest.approx(0.0))


def test_one_answer_has_no_error_and_a_free_variant_no_ratio() -> None:
    request = routed(
        "a",
        verdict("a", propensity=1.0, cost_usd=0.0),
        realised=Realised(cost_usd=0.0, latency_s=1.0, ttft_s=0.1),
    )
    [found] = variant_figures([request])
    assert found.cost_usd is not None
    assert (found.cost_usd.ratio, found.cost_usd.difference_se) == (None, None)
    assert found.quality is None
    assert found.reliability == ()
    assert found.ttft_coverage is not None
    assert found.ttft_coverage.below_median.share == 1.0


def test_right_predictions_lie_on_the_diagonal_and_cover_the_times_they_should() -> None:
    world = routed_world(1, rows=3000, sharpness=1.0, level_se=0.0)
    for found in variant_figures(world.requests):
        bins = found.reliability
        assert found.variant in NAMES
        assert len(bins) == MAX_BINS
        assert sum(one.rows for one in bins) == found.judged
        assert [one.predicted for one in bins] == sorted(one.predicted for one in bins)
        # Of 8 intervals at 95 %, six cover with a probability above 0.99.
        assert sum(one.interval.covers(one.predicted) for one in bins) >= 6
        assert found.latency_coverage is not None
        assert found.latency_coverage.below_high is not None
        # The bounds are 95 % intervals: three standard errors are half as wide again.
        assert found.latency_coverage.below_median.share == pytest.approx(0.5, abs=0.06)
        assert found.latency_coverage.below_high.share == pytest.approx(0.95, abs=0.03)


def test_a_shift_of_all_predictions_shows_in_the_difference() -> None:
    def shifted(request: RoutedRequest) -> RoutedRequest:
        verdicts = [
            verdict(v.variant, propensity=v.propensity, quality=v.estimate.quality / 2)
            for v in request.verdicts
            if v.estimate is not None
        ]
        return msgspec.structs.replace(request, verdicts=tuple(verdicts))

    world = routed_world(2, rows=2000, sharpness=1.0, level_se=0.0)
    for found in variant_figures([shifted(request) for request in world.requests]):
        assert found.quality is not None
        assert found.quality.difference_se is not None
        assert found.quality.difference > 3 * found.quality.difference_se
        assert found.quality.realised == pytest.approx(2 * found.quality.predicted, rel=0.15)


@pytest.mark.parametrize("truth", [0.05, 0.5, 0.9])
def test_intervals_of_proportions_cover_about_as_often_as_they_say(truth: float) -> None:
    rng = np.random.default_rng(3)
    drawn = rng.binomial(40, truth, 2000)
    covered = np.mean([proportion(float(k), 40).covers(truth) for k in drawn])
    # The mean coverage of Jeffreys' interval is near 95 %; at single points it swings by a few points.
    assert 0.91 <= covered <= 0.99


def test_bounds_of_proportions_reach_0_and_1_only_where_nothing_or_everything_held() -> None:
    assert proportion(0.0, 10).low == 0.0
    assert proportion(10.0, 10).high == 1.0
    assert 0.0 < proportion(0.5, 10).low < 0.05 < proportion(0.5, 10).high < 1.0
