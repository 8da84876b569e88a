"""Bandit feedback and drift."""

from __future__ import annotations

import numpy as np
import pytest

from policies.simulation.catalogue import chosen
from policies.simulation.ours import TRILEMMA, Fitted
from policies.simulation.protocols import bandit, drift
from tests.outcome_worlds import world

ROWS = world(900)


def test_at_the_price_the_cheapest_and_the_best_fixed_arm_are_worth_the_same() -> None:
    worth = bandit.utilities(ROWS, bandit.price(ROWS)).mean(axis=0)
    assert worth[0] == pytest.approx(worth[1])


def test_no_held_out_row_is_streamed() -> None:
    of = bandit.split(ROWS, seed=1, requests=400)
    assert sorted([*of.stream, *of.held_out]) == list(range(len(ROWS)))
    assert len(of.stream) == 400


def test_ours_learns_from_its_own_choices_most_of_what_full_information_knows() -> None:
    found = bandit.measure(ROWS, [TRILEMMA], learner=Fitted, seeds=2, requests=400, now_ns=lambda: 0)
    assert found["full-information"].share_of_full_information == pytest.approx(1.0)
    assert found["trilemma"].share_of_full_information > 0.9
    assert found["fixed:small"].utility == pytest.approx(found["fixed:strong"].utility)


def test_baselines_without_a_warm_start_learn_too() -> None:
    found = bandit.measure(ROWS, chosen(["tfidf", "linucb"]), learner=Fitted, seeds=1, requests=400, now_ns=lambda: 0)
    assert found["tfidf"].share_of_full_information > 0.9
    assert found["linucb"].share_of_full_information > 0.5


def test_a_change_touches_one_arm_and_one_figure() -> None:
    halved, tripled = drift.changed(ROWS, "quality_halved", 1), drift.changed(ROWS, "price_tripled", 1)
    np.testing.assert_array_equal(halved.quality, ROWS.quality * [1.0, 0.5])
    np.testing.assert_array_equal(halved.cost_usd, ROWS.cost_usd)
    np.testing.assert_allclose(tripled.cost_usd, ROWS.cost_usd * [1.0, 3.0])
    np.testing.assert_array_equal(tripled.quality, ROWS.quality)


@pytest.mark.parametrize(
    ("found", "requests"),
    [([0.5, 0.01, 0.01], 200), ([0.01, 0.5, 0.01], 300), ([0.0, -0.1], 100), ([0.0, 0.5, 0.5], None)],
)
def test_who_is_near_the_optimum_and_leaves_it_again_has_not_recovered(
    found: list[float], requests: int | None
) -> None:
    assert drift.recovered_after(found) == requests


@pytest.mark.timeout(120)
@pytest.mark.parametrize("scenario", drift.SCENARIOS)
def test_ours_recovers_from_every_change(scenario: drift.Scenario) -> None:
    rows = world(1500)
    found = [drift.gaps(rows, TRILEMMA, scenario, learner=Fitted, seed=seed, requests=400) for seed in (0, 1)]
    assert np.mean([min(gaps[-2:]) for gaps in found]) < 0.05
