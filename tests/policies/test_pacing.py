"""Budgets: kept, spent, and never at the price of being worse than a fixed mix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.duals import dual_price
from policies.pacing import BURST, PAYS_BACK, Pacer
from policies.policy import Budget

values = st.floats(0, 1)
rows = st.integers(1, 12).flatmap(
    lambda n: st.lists(
        st.lists(st.tuples(values, st.floats(1e-4, 1.0)), min_size=3, max_size=3), min_size=n, max_size=n
    )
)


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


@given(rows, st.floats(1e-3, 1.0), st.lists(values, min_size=3, max_size=3).filter(lambda mix: sum(mix) > 0.01))
@settings(max_examples=200)
def test_at_its_price_no_fixed_mix_is_worth_more(
    table: list[list[tuple[float, float]]], target: float, mix: list[float]
) -> None:
    """The zero-router floor: utility less the price of its cost, against every mix of the candidates."""
    utilities, costs = np.array(table)[..., 0], np.array(table)[..., 1]
    price = dual_price(utilities, costs, target=target)
    shares = np.array(mix) / sum(mix)
    worth = utilities - price * costs
    assert worth.max(axis=1).mean() >= (worth @ shares).mean() - 1e-9


@given(rows, st.floats(1e-3, 1.0))
def test_the_price_keeps_the_target_wherever_it_can_be_kept(
    table: list[list[tuple[float, float]]], target: float
) -> None:
    utilities, costs = np.array(table)[..., 0], np.array(table)[..., 1]
    price = dual_price(utilities, costs, target=target)
    spent = costs[np.arange(len(costs)), (utilities - price * costs).argmax(axis=1)].mean()
    assert spent <= max(target, costs.min(axis=1).mean()) * (1 + 1e-6)


def test_absent_candidates_are_never_foreseen_as_chosen() -> None:
    pacer = Pacer(Budget(usd=1.0), now_s=0.0)
    pacer.foresee([0.5, 0.9], [1.0, 50.0])
    pacer.foresee([0.5], [1.0])
    pacer.admit(now_s=0.0)
    assert np.isfinite(pacer.price_per_usd)
    assert pacer.price_per_usd > 0.0
