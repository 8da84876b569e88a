"""Streams under a budget."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from policies.simulation.catalogue import chosen
from policies.simulation.methods import Method, Router, Start, Task, World
from policies.simulation.ours import prepare
from policies.simulation.protocols.budget import PUBLISHED, measure, mix, oracle
from policies.simulation.protocols.replay import world_of
from tests.outcome_worlds import world

ROWS, WARM = world(240), world(240, seed=1)
MIDDLE_USD = float(ROWS.cost_usd.mean())


class _Spy:
    """Takes arms in turn, and writes down all it is told."""

    def __init__(self, task: Task) -> None:
        self.task, self.told = task, dict[int, tuple[int, float, float]]()

    def choose(self, row: int, *, among: tuple[int, ...]) -> int:
        return among[len(self.told) % len(among)]

    def learn(self, row: int, arm: int, *, quality: float, cost_usd: float) -> None:
        assert row not in self.told
        self.told[row] = (arm, quality, cost_usd)

    def greedy(self, rows: NDArray[np.int64], *, among: tuple[int, ...]) -> NDArray[np.int64]:
        raise NotImplementedError


def test_a_router_is_told_the_outcome_of_every_choice_and_of_nothing_else() -> None:
    spies: list[_Spy] = []

    def prepare(_: World) -> Start:
        def start(task: Task, _: np.random.Generator) -> Router:
            spies.append(_Spy(task))
            return spies[-1]

        return start

    found = measure(
        ROWS,
        [Method(name="spy", prepare=prepare)],
        warm=None,
        budgets_usd=[MIDDLE_USD],
        seeds=2,
        now_ns=lambda: 0,
    )
    for spy in spies:
        assert sorted(spy.told) == list(range(len(ROWS)))
        for row, (arm, quality, cost_usd) in spy.told.items():
            assert (quality, cost_usd) == (ROWS.quality[row, arm], ROWS.cost_usd[row, arm])
    assert list(spies[0].told) != list(spies[1].told)
    means = [np.mean([quality for _, quality, _ in spy.told.values()]) for spy in spies]
    assert found["spy"].quality == pytest.approx(np.mean(means))


def test_fixed_arms_cost_what_they_cost() -> None:
    fixed = measure(ROWS, [], warm=None, budgets_usd=[MIDDLE_USD], seeds=1, now_ns=lambda: 0)["fixed:strong"]
    assert fixed.quality == pytest.approx(ROWS.quality[:, 1].mean())
    assert fixed.overspend == pytest.approx(ROWS.cost_usd[:, 1].mean() / MIDDLE_USD - 1.0)


@pytest.mark.parametrize("budget_usd", [2e-4, MIDDLE_USD, 1.9e-3])
def test_the_oracle_keeps_the_budget_and_beats_the_mix(budget_usd: float) -> None:
    choice, every = oracle(ROWS, budget_usd), np.arange(len(ROWS))
    assert ROWS.cost_usd[every, choice].mean() <= budget_usd
    assert ROWS.quality[every, choice].mean() >= mix(ROWS, budget_usd)[0]


@pytest.mark.parametrize("name", ["trilemma", "tfidf", "knn", "linucb"])
def test_every_paced_router_keeps_the_budget_and_beats_the_mix_where_prompts_tell(name: str) -> None:
    found = measure(ROWS, chosen([name]), warm=WARM, budgets_usd=[MIDDLE_USD], seeds=2, now_ns=lambda: 0)[name]
    assert found.overspend is not None
    # A dear request may leave ten shares owing, and draws of the exploration as many: what a stream of 240 shows.
    assert found.overspend * len(ROWS) < 20.0
    assert found.quality is not None
    assert found.quality > mix(ROWS, MIDDLE_USD)[0] + 0.1


def test_several_budgets_stand_one_by_one_and_one_stands_as_the_methods_own() -> None:
    two = measure(ROWS, chosen(["tfidf"]), warm=WARM, budgets_usd=[2e-4, 1e-3], seeds=2, now_ns=lambda: 0)["tfidf"]
    one = measure(ROWS, chosen(["tfidf"]), warm=WARM, budgets_usd=[1e-3], seeds=2, now_ns=lambda: 0)["tfidf"]
    assert two.quality is None
    assert [of.budget_usd for of in two.budgets] == [2e-4, 1e-3]
    assert two.budgets[1].quality == one.quality
    assert one.ci95["quality"][0] <= one.quality <= one.ci95["quality"][1]


def test_published_figures_stand_only_beside_the_arms_they_were_published_for() -> None:
    budget_usd = next(iter(PUBLISHED))
    found = measure(ROWS, [], warm=None, budgets_usd=[budget_usd], seeds=1, now_ns=lambda: 0)
    assert "paretobandit-published" not in found


def test_requests_after_a_warm_start_are_new_ones() -> None:
    """Their judgements add to what was known beforehand, and replace none of it."""
    run = prepare(world_of(ROWS, warm=WARM))(Task(requests=20, budget_usd=MIDDLE_USD), np.random.default_rng(0))
    before = run._played.learner.judged
    for row in range(20):
        arm = run.choose(row, among=(0, 1))
        run.learn(row, arm, quality=ROWS.quality[row, arm], cost_usd=ROWS.cost_usd[row, arm])
    assert run._played.learner.judged == before + 20
