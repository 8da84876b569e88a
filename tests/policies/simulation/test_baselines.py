"""The baselines do what their ideas say."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from policies.simulation.baselines.embedding import Embedding
from policies.simulation.baselines.knn import Neighbours
from policies.simulation.baselines.linucb import LinearFit, linucb
from policies.simulation.baselines.pacing import Pacer
from policies.simulation.baselines.paretobandit import installed, paretobandit
from policies.simulation.catalogue import chosen
from policies.simulation.methods import Task, World
from policies.simulation.protocols.budget import measure
from tests.outcome_worlds import world

ROWS = world(200)


def test_a_linear_bandit_told_everything_has_the_weights_of_a_direct_fit() -> None:
    start = linucb(World(arms=ROWS.arms, queries=ROWS.queries, usd_per_answer=(1e-4, 2e-3)))
    router = start(Task(requests=len(ROWS)), np.random.default_rng(0))
    for row in range(len(ROWS)):
        for arm in (0, 1):
            router.learn(row, arm, quality=ROWS.quality[row, arm], cost_usd=ROWS.cost_usd[row, arm])
    every = np.arange(len(ROWS))
    quality, _ = LinearFit(ROWS, np.random.default_rng(0)).predict(ROWS.queries)
    np.testing.assert_array_equal(router.greedy(every, among=(0, 1)), quality.argmax(axis=1))


def test_neighbours_of_a_repeated_request_are_its_repetitions() -> None:
    rows = ROWS.take(np.repeat(np.arange(3), 64))
    quality, cost_usd = Neighbours(rows, np.random.default_rng(0)).predict(rows.queries.take(np.array([0, 64, 128])))
    np.testing.assert_allclose(quality, rows.quality[[0, 64, 128]])
    np.testing.assert_allclose(cost_usd, rows.cost_usd[[0, 64, 128]])


def test_an_embedding_keeps_equal_requests_together_and_others_apart() -> None:
    vectors = Embedding(ROWS.queries, dimensions=16, rng=np.random.default_rng(0)).whitened(ROWS.queries)
    assert vectors.shape == (200, 16)
    np.testing.assert_allclose((vectors**2).mean(axis=0), 1.0, rtol=0.1)


def test_the_price_falls_as_the_budget_grows() -> None:
    quality, cost_usd = ROWS.quality + np.random.default_rng(0).normal(size=(200, 2)), ROWS.cost_usd
    prices = [Pacer(quality, cost_usd, Task(requests=10, budget_usd=b)).per_usd() for b in (1e-5, 5e-4, 1e-3, 1e-2)]
    assert prices == sorted(prices, reverse=True)
    assert prices[-1] == 0.0


def test_paretobandit_is_left_out_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pareto_bandit", None)
    assert not installed()
    assert "paretobandit" not in [method.name for method in chosen()]
    with pytest.raises(KeyError):
        chosen(["nobody"])


@pytest.mark.skipif(not installed(), reason="paretobandit is not installed")
def test_paretobandit_routes_by_its_own_package() -> None:
    warm = world(200, seed=1)
    found = measure(ROWS, chosen(["paretobandit"]), warm=warm, budgets_usd=[1e-3], seeds=1, now_ns=lambda: 0)[
        "paretobandit"
    ]
    assert found.quality > ROWS.quality[:, 0].mean()
    with pytest.raises(ValueError, match="warm"):
        paretobandit(World(arms=ROWS.arms, queries=ROWS.queries))
