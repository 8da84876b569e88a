"""The price of what is scarce: as a bisection finds it, exact at the steps, and never worth less than a fixed mix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from policies.duals import HIGHEST, Alternating, Dual, Foreseen

F64 = NDArray[np.float64]

values = st.floats(0, 1)
costs = st.floats(1e-4, 1.0)
even = st.integers(0, 10).map(lambda tenths: tenths / 10)
"""So coarse that utilities, costs and slopes are often equal."""


def tables(utility: st.SearchStrategy[float], cost: st.SearchStrategy[float]) -> st.SearchStrategy[F64]:
    """Requests with three candidates each: utilities and costs; shape (2, n, 3)."""
    request = st.lists(st.tuples(utility, cost), min_size=3, max_size=3)
    return st.lists(request, min_size=1, max_size=12).map(lambda table: np.moveaxis(np.array(table), -1, 0))


def solved(table: F64, target: float, *, window: int = 100) -> Dual:
    foreseen = Foreseen(window=window)
    for utilities, each in zip(*table.tolist(), strict=True):
        foreseen.add(utilities, each)
    dual = foreseen.solve(target=target)
    assert dual is not None
    return dual


def mean_cost(table: F64, price: float) -> float:
    utilities, each = table
    return float(each[np.arange(len(each)), (utilities - price * each).argmax(axis=1)].mean())


def bisected(table: F64, target: float) -> float:
    """The least price that keeps the target, by its definition."""
    if mean_cost(table, 0.0) <= target:
        return 0.0
    low, high = 0.0, 1.0 / target
    while mean_cost(table, high) > target and high < HIGHEST:
        low, high = high, 4.0 * high
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if mean_cost(table, middle) > target else (low, middle)
    return high


@given(tables(values, costs), st.floats(1e-3, 1.0))
@settings(max_examples=300)
def test_it_is_the_price_that_a_bisection_finds(table: F64, target: float) -> None:
    expected, dual = bisected(table, target), solved(table, target)
    assert dual.price == pytest.approx(expected, rel=1e-6, abs=1e-6 / target) or min(dual.price, expected) > 1e11
    spent = max(target, table[1].min(axis=1).mean())
    assert mean_cost(table, dual.price) <= spent * (1.0 + 1e-6)


@given(tables(even, even.map(lambda cost: cost + 0.1)), st.floats(0.1, 1.1))
@settings(max_examples=300)
def test_taking_turns_at_its_two_prices_spends_the_whole_target(table: F64, target: float) -> None:
    dual = solved(table, target)
    assert 0.0 <= dual.share <= 1.0
    if dual.below < dual.price < HIGHEST:
        spent = dual.share * mean_cost(table, dual.below) + (1.0 - dual.share) * mean_cost(table, dual.price)
        assert spent == pytest.approx(target, rel=1e-6)


@given(
    tables(values, costs), st.floats(1e-3, 1.0), st.lists(values, min_size=3, max_size=3).filter(lambda m: sum(m) > 0)
)
@settings(max_examples=200)
def test_at_its_price_no_fixed_mix_is_worth_more(table: F64, target: float, mix: list[float]) -> None:
    """The zero-router floor: utility less the price of its cost, against every mix of the candidates."""
    worth = table[0] - min(solved(table, target).price, 1e6) * table[1]
    shares = np.array(mix) / sum(mix)
    assert worth.max(axis=1).mean() >= (worth @ shares).mean() - 1e-6


def test_a_target_below_all_that_is_cheapest_makes_everyone_take_that() -> None:
    table = np.array([[[0.1, 0.9]], [[0.5, 2.0]]])
    assert solved(table, 0.4) == Dual(HIGHEST, HIGHEST, 0.0)
    assert solved(table, 2.0) == Dual(0.0, 0.0, 0.0)


def test_of_equals_the_cheaper_one_is_taken() -> None:
    table = np.array([[[0.7, 0.7]], [[2.0, 1.0]]])
    dual = solved(table, 1.5)
    assert 0.0 < dual.price < 1e-6
    assert mean_cost(table, dual.price) == 1.0


def test_where_the_last_solution_was_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    table = np.array([rng.random((200, 4)), rng.lognormal(-6.0, 2.0, (200, 4))])
    held = Foreseen(window=200)
    for utilities, each in zip(*table.tolist(), strict=True):
        held.add(utilities, each)
    for target in np.exp(rng.normal(-6.0, 2.0, 50)):
        assert held.solve(target=float(target)) == solved(table, float(target), window=200)


def test_only_the_latest_requests_count() -> None:
    foreseen = Foreseen(window=3)
    for utility in (0.9, 0.9, 0.9, 0.2, 0.2, 0.2):
        foreseen.add([0.1, utility, 0.0], [1.0, 2.0, 9.0])
    dual = foreseen.solve(target=1.0)
    assert dual is not None
    assert dual.price == pytest.approx(0.1)


def test_without_any_request_there_is_no_price() -> None:
    foreseen = Foreseen(window=3)
    foreseen.add([], [])
    assert foreseen.solve(target=1.0) is None


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.93, 1.0])
def test_turns_keep_to_their_share_over_runs_of_any_length(share: float) -> None:
    prices = Alternating()
    prices.dual = Dual(price=2.0, below=1.0, share=share)
    turns = np.cumsum([prices.next_price() == 1.0 for _ in range(200)])
    assert np.abs(turns - share * np.arange(1, 201)).max() <= 1.0
