"""Promises in a closed loop: broken without the keeper, kept with it, and nothing thrown away for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from policies.objective import Limits, Weights
from policies.prices import NO_PRICES, Prices
from policies.promises.aims import needed_mean
from policies.promises.keeper import SPREAD, Answer, Keeper
from policies.promises.types import Sla
from tests.promise_worlds import World

REQUESTS = 3000
ACCURATE, CHEAP = Weights(accuracy=1), Weights(accuracy=0.2, cost=0.8)


def kept(values: Sequence[float], promise: Callable[[Sequence[float]], bool], *, window: int = 100) -> float:
    """Share of the windows in which a promise was kept."""
    windows = [values[start : start + window] for start in range(0, len(values), window)]
    return sum(promise(values) for values in windows) / len(windows)


def in_time(values: Sequence[float]) -> bool:
    return sum(value > 1.5 for value in values) <= 0.05 * len(values)


def good(values: Sequence[float]) -> bool:
    return sum(values) / len(values) >= 0.75


def run(world: World, sla: Sla | None = None, limits: Limits | None = None) -> World:
    world.run(REQUESTS, keeper=None if sla is None else Keeper(sla, now_s=0.0), limits=limits)
    return world


@pytest.mark.parametrize("late", [1.6, 2.5])
def test_times_that_are_worse_than_predicted_break_no_promise(late: float) -> None:
    fixed = run(World(weights=ACCURATE, late=late), limits=Limits(ttft_s=1.5))
    steered = run(World(weights=ACCURATE, late=late), Sla(window_s=100, ttft_p95_s=1.5))
    assert kept(fixed.ttft_s, in_time) < 0.1
    assert kept(steered.ttft_s, in_time) >= 0.95
    assert np.mean(steered.quality) > 0.56, "better than the fastest variant alone"


def test_a_window_that_runs_ahead_uses_its_allowance_for_better_answers() -> None:
    fixed = run(World(weights=ACCURATE), limits=Limits(ttft_s=1.5))
    steered = run(World(weights=ACCURATE), Sla(window_s=100, ttft_p95_s=1.5))
    assert kept(steered.ttft_s, in_time) >= 0.95
    assert np.mean(steered.quality) > np.mean(fixed.quality) + 0.01


@pytest.mark.parametrize(("worse", "judged"), [(0.0, 0.0), (0.0, 0.3), (0.1, 0.3), (0.1, 1.0)])
def test_a_mean_quality_is_reached_and_the_rest_stays_cheap(worse: float, judged: float) -> None:
    alone = run(World(weights=CHEAP, worse=worse, judged=judged))
    steered = run(World(weights=CHEAP, worse=worse, judged=judged), Sla(window_s=100, mean_quality=0.75))
    assert kept(alone.quality, good) == 0.0
    assert kept(steered.quality, good) >= 0.9
    assert np.mean(steered.cost_usd) < 1.8e-4, "less than the dearest variant for all"
    assert np.mean(steered.quality) < 0.80, "and no more than was promised, with its reserve"


class Floored(Keeper):
    """Holds every single answer to what the mean still needs."""

    @property
    def limits(self) -> Limits:
        floor = needed_mean(0.75, seen=self._rated, total=self._total, ahead=self._ahead, spread=SPREAD)
        return Limits(min_quality=floor)

    @property
    def prices(self) -> Prices:
        return NO_PRICES


@pytest.mark.parametrize("weights", [CHEAP, Weights(speed=0.8, accuracy=0.2), Weights(speed=1, cost=1, accuracy=1)])
def test_a_price_leaves_more_for_the_tenants_own_weights_than_a_floor_under_every_answer(weights: Weights) -> None:
    sla, worth = Sla(window_s=100, mean_quality=0.75), []
    for keeper in (Keeper(sla, now_s=0.0), Floored(sla, now_s=0.0)):
        world = World(weights=weights)
        world.run(REQUESTS, keeper=keeper)
        assert kept(world.quality, good) >= 0.95
        worth.append(np.mean(world.utility))
    assert worth[0] > 1.05 * worth[1]


def test_windows_of_few_requests_are_steered_too() -> None:
    world = run(World(weights=CHEAP, gap_s=1.0), Sla(window_s=20, mean_quality=0.75))
    assert kept(world.quality, good, window=20) >= 0.9


def test_a_promise_that_is_kept_anyway_changes_nothing() -> None:
    alone = run(World(weights=ACCURATE))
    steered = run(World(weights=ACCURATE), Sla(window_s=100, mean_quality=0.5, ttft_p95_s=100.0))
    assert steered.chosen == alone.chosen


def test_a_promise_that_nobody_can_keep_gets_the_nearest_there_is() -> None:
    world = run(World(weights=CHEAP), Sla(window_s=100, mean_quality=1.0))
    assert world.chosen[100:].count("best") > 0.9 * (REQUESTS - 100), "but for prompts that another is better at"
    hurried = run(World(weights=ACCURATE), Sla(window_s=100, ttft_p95_s=0.01))
    assert set(hurried.chosen) == {"fast"}


def test_without_promises_nothing_is_asked() -> None:
    keeper = Keeper(Sla(), now_s=0.0)
    for second in range(200):
        keeper.admit(now_s=float(second))
        keeper.foresee([0.5, 0.6], [0.9, 0.2])
        keeper.answered(Answer(ttft_s=9.0, latency_s=99.0, quality=0.0), now_s=float(second))
    assert keeper.limits == Limits()
    assert keeper.prices == NO_PRICES


def test_a_clock_that_jumps_begins_a_window_and_stops_nothing() -> None:
    keeper = Keeper(Sla(window_s=60, latency_p95_s=1.0, mean_quality=0.9), now_s=1e9)
    for now_s in (1e9, 1e9 + 1e7, 1e9 - 1e7, 0.0, 1e9):
        keeper.admit(now_s=now_s)
        keeper.foresee([0.5, 0.6], [0.9, 0.2])
        keeper.answered(Answer(ttft_s=None, latency_s=2.0, quality=0.2), now_s=now_s)
        assert keeper.window == now_s // 60
        assert keeper.limits.latency_s is not None
        assert 0.2 <= keeper.limits.latency_s <= 2.0
        assert 0.0 <= keeper.prices.per_quality <= 1e3
