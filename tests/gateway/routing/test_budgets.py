"""A tenant's own budget is spread over the period that its account has, and comes before the policy's."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.clock import Clock
from gateway.routing.budgets import Budgets
from gateway.tenants.types import Spend
from policies.policy import Budget, Policy
from policies.prices import NO_PRICES
from policies.types import CandidateState, Decision, Estimate, Verdict

DAY_S = 86_400.0
OWN = Spend(usd=1.0, period_s=DAY_S)
PLAIN = Policy(hash="p", priorities={})
UTILITY, COST_USD = {"cheap": 0.5, "dear": 0.9}, {"cheap": 1e-4, "dear": 4e-3}


class Walls:
    """Two clocks that a test moves; the wall's stands in the middle of nothing."""

    def __init__(self, *, wall_s: float) -> None:
        self.wall_s, self.monotonic_s = wall_s, 5.0

    def clock(self) -> Clock:
        return Clock(wall_s=lambda: self.wall_s, monotonic_s=lambda: self.monotonic_s)

    def tick(self, s: float) -> None:
        self.wall_s += s
        self.monotonic_s += s


def decided(price_per_usd: float, ceiling_usd: float) -> tuple[str, Decision]:
    """The choice at a price, and a decision that says what there was to choose from."""
    able = [name for name, usd in COST_USD.items() if usd <= ceiling_usd] or ["cheap"]
    values = {name: UTILITY[name] - price_per_usd * COST_USD[name] for name in UTILITY}
    verdicts = tuple(
        Verdict(
            variant=name,
            state=CandidateState.WARM,
            excluded_because=None,
            estimate=Estimate(
                quality=0.5, ttft_s=0, tpot_s=0, completion_tokens=1, latency_s=1, cost_usd=COST_USD[name]
            ),
            utility=values[name],
            worth=UTILITY[name],
            propensity=0.5,
        )
        for name in UTILITY
    )
    return max(able, key=lambda name: values[name]), Decision(choice="cheap", verdicts=verdicts)


def spend(budgets: Budgets, walls: Walls, *, requests: int, gap_s: float) -> list[float]:
    """What each request cost."""
    paid = []
    for _ in range(requests):
        walls.tick(gap_s)
        prices = budgets.prices("law", PLAIN, own=OWN)
        name, decision = decided(prices.per_usd, prices.ceiling_usd or 0.0)
        budgets.foresee("law", decision)
        budgets.charge("law", COST_USD[name])
        paid.append(COST_USD[name])
    return paid


def test_a_days_budget_lasts_for_the_day_and_is_used() -> None:
    walls = Walls(wall_s=1000 * DAY_S)
    paid = spend(Budgets(walls.clock()), walls, requests=1000, gap_s=DAY_S / 1001)
    quarters = [sum(part) for part in np.array_split(paid, 4)]
    assert 0.7 < sum(paid) <= 1.0 + max(COST_USD.values())
    assert max(quarters) < 0.35


def test_a_gateway_that_starts_late_in_the_period_knows_what_was_spent_before() -> None:
    walls = Walls(wall_s=1000 * DAY_S + 0.5 * DAY_S)
    fresh, late = Budgets(walls.clock()), Budgets(walls.clock())
    assert (fresh.prices("law", PLAIN, own=OWN, left_usd=1.0).ceiling_usd or 0.0) > 0.4
    assert (late.prices("law", PLAIN, own=OWN, left_usd=0.1).ceiling_usd or 0.0) <= 0.1


def test_a_new_period_begins_with_the_clock_on_the_wall() -> None:
    walls = Walls(wall_s=1000 * DAY_S - 1.0)
    budgets = Budgets(walls.clock())
    assert (budgets.prices("law", PLAIN, own=OWN, left_usd=0.0).ceiling_usd or 0.0) <= 0.0
    walls.tick(60.0)
    assert (budgets.prices("law", PLAIN, own=OWN, left_usd=1.0).ceiling_usd or 0.0) > 0.0


@pytest.mark.parametrize("policy", [PLAIN, Policy(hash="q", priorities={}, budgets={"*": Budget(usd=1e-9)})])
def test_the_tenants_own_comes_before_the_policys(policy: Policy) -> None:
    walls = Walls(wall_s=1000.5 * DAY_S)
    budgets = Budgets(walls.clock())
    assert (budgets.prices("law", policy, own=OWN).ceiling_usd or 0.0) > 0.4


def test_without_any_budget_a_dollar_has_no_price() -> None:
    budgets = Budgets(Walls(wall_s=0.0).clock())
    assert budgets.prices("law", PLAIN) == NO_PRICES
    budgets.charge("law", 100.0)
