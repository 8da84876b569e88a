"""Budgets: kept, spent, and never at the price of being worse than a fixed mix."""

from __future__ import annotations

import numpy as np
import pytest

from policies.pacing import BURST, PAYS_BACK, Pacer
from policies.policy import Budget


def spend(pacer: Pacer, *, n: int, seed: int, drift: float = 1.0, gap_s: float = 1.0) -> tuple[float, list[float]]:
    """Route n requests between a cheap, a middling and a dear variant; mean utility, and what each cost."""
    rng = np.random.default_rng(seed)
    total, paid = 0.0, []
    for t in range(n):
        pacer.admit(now_s=t * gap_s)
        costs = np.array([1.0, 5.0, 40.0]) * rng.lognormal(0.0, 0.3)
        utilities = np.clip(np.array([0.5, 0.7, 0.8]) + rng.normal(0, 0.15, 3), 0, 1)
        able = costs <= pacer.ceiling_usd
        scores = np.where(able, utilities - pacer.price_per_usd * costs, -np.inf) if able.any() else -costs
        choice = int(scores.argmax())
        pacer.foresee(utilities.tolist(), costs.tolist())
        paid.append(float(costs[choice] * drift * rng.lognormal(-0.02, 0.2)))
        pacer.charge(paid[-1])
        total += utilities[choice]
    return total / n, paid


@pytest.mark.parametrize("usd", [1.5, 4.0, 12.0, 30.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_budget_per_request_is_kept_and_used(usd: float, seed: int) -> None:
    _, paid = spend(Pacer(Budget(usd=usd), now_s=0.0), n=3000, seed=seed)
    assert 0.93 * usd < np.mean(paid) < 1.01 * usd


def test_costs_that_turn_out_tripled_are_noticed() -> None:
    _, paid = spend(Pacer(Budget(usd=12.0), now_s=0.0), n=3000, seed=0, drift=3.0)
    assert np.mean(paid) < 1.06 * 12.0


def test_more_money_buys_more() -> None:
    bought = [spend(Pacer(Budget(usd=usd), now_s=0.0), n=2000, seed=1)[0] for usd in (1.5, 4.0, 12.0, 30.0)]
    assert bought == sorted(bought)


def test_a_period_spends_evenly_and_never_more_than_it_has() -> None:
    pacer = Pacer(Budget(usd=5000.0, period_s=1000.0), now_s=0.0)
    _, paid = spend(pacer, n=1000, seed=0)
    thirds = [sum(part) for part in np.array_split(paid, 3)]
    assert max(thirds) < 1.2 * 5000 / 3
    assert 0.9 * 5000 < sum(paid) < 5000 + max(paid), "but for the error of one prediction"


def test_a_new_period_has_its_whole_budget_and_no_old_debt() -> None:
    pacer = Pacer(Budget(usd=100.0, period_s=10.0), now_s=0.0)
    pacer.admit(now_s=9.0)
    pacer.charge(100.0)
    assert pacer.ceiling_usd <= 0.0
    pacer.admit(now_s=10.5)
    assert pacer.ceiling_usd > 0.0


def test_within_a_budget_per_request_a_share_is_always_allowed() -> None:
    pacer = Pacer(Budget(usd=1.0), now_s=0.0)
    pacer.admit(now_s=0.0)
    pacer.charge(1e6)
    assert pacer.ceiling_usd == PAYS_BACK
    assert Pacer(Budget(usd=1.0), now_s=0.0).ceiling_usd == pytest.approx(BURST)


def test_a_budget_that_never_binds_has_no_price() -> None:
    pacer = Pacer(Budget(usd=1e3), now_s=0.0)
    spend(pacer, n=100, seed=0)
    assert pacer.price_per_usd == 0.0


def ordered(predicted: np.ndarray, actual: np.ndarray, *, usd: float, seed: int) -> tuple[float, float, list[int]]:
    """Route all requests, in an order of their own; mean quality, overspend, and how often each was chosen.

    Args:
        predicted: Quality and cost of each candidate; shape (2, n, k).
        actual: The same as they turned out.
        usd: A request.
        seed: Of the order.
    """
    pacer, chosen = Pacer(Budget(usd=usd), now_s=0.0), []
    order = np.random.default_rng(seed).permutation(predicted.shape[1])
    for row in order:
        pacer.admit(now_s=0.0)
        quality, costs = predicted[:, row]
        values = np.where(costs <= pacer.ceiling_usd, quality - pacer.price_per_usd * costs, -np.inf)
        chosen.append(int(values.argmax()) if np.isfinite(values).any() else int(costs.argmin()))
        pacer.foresee(quality.tolist(), costs.tolist())
        pacer.charge(float(actual[1, row, chosen[-1]]))
    quality, costs = actual[:, order, chosen]
    return float(quality.mean()), float(costs.mean()) / usd - 1.0, np.bincount(chosen).tolist()


def kinked(n: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A middling variant for nearly all, a poor cheap one, and one at 30 times the price that is hardly better."""
    rng = np.random.default_rng(seed)
    quality = np.array([0.79, 0.925, 0.935]) + rng.normal(0.0, 0.02, (n, 3))
    costs = np.array([0.04, 0.78, 23.0]) * rng.lognormal(0.0, 0.5, (n, 3))
    return np.array([quality, costs]), np.array([quality, costs * rng.lognormal(-0.06, 0.35, (n, 3))])


def test_costs_far_beyond_their_prediction_are_paid_back_by_what_costs_least_quality() -> None:
    """One dear answer in ten costs five times what was predicted, 70 shares of a request."""
    predicted, actual = kinked(2400)
    actual[1, :, 2] *= np.where(np.random.default_rng(5).random(2400) < 0.1, 5.0, 0.6)
    runs = [ordered(predicted, actual, usd=1.0, seed=seed) for seed in range(4)]
    middling = float(actual[0, :, 1].mean())
    assert np.mean([quality for quality, *_ in runs]) > middling - 0.0005
    assert np.mean([overspend for _, overspend, _ in runs]) < 0.002
    assert max(overspend for _, overspend, _ in runs) < 0.01


@pytest.mark.parametrize("usd", [2.0, 5.0, 9.0])
def test_requests_that_are_all_alike_take_turns_as_a_fixed_mix_does(usd: float) -> None:
    alike = np.repeat([[[0.5, 0.9]], [[1.0, 11.0]]], 1000, axis=1)
    quality, overspend, _ = ordered(alike, alike, usd=usd, seed=0)
    mix = 0.5 + 0.4 * (usd - 1.0) / 10.0
    assert quality > mix - 0.005
    assert overspend < 0.004


def test_few_requests_are_enough_to_know_the_price() -> None:
    predicted, actual = kinked(60)
    *_, chosen = ordered(predicted, actual, usd=0.8, seed=0)
    assert chosen[1] > 40


def test_a_debt_of_any_size_has_a_price() -> None:
    pacer = Pacer(Budget(usd=1.0), now_s=0.0)
    pacer.admit(now_s=0.0)
    pacer.foresee([0.5, 0.9], [0.1, 2.0])
    pacer.charge(1e9)
    pacer.admit(now_s=0.0)
    assert np.isfinite(pacer.price_per_usd)
    assert pacer.price_per_usd > 1.0


def test_absent_candidates_are_never_foreseen_as_chosen() -> None:
    pacer = Pacer(Budget(usd=1.0), now_s=0.0)
    pacer.foresee([0.5, 0.9], [1.0, 50.0])
    pacer.foresee([0.5], [1.0])
    for _ in range(2):
        pacer.admit(now_s=0.0)
    assert np.isfinite(pacer.price_per_usd)
    assert pacer.price_per_usd > 0.0
