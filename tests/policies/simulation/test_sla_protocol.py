"""Tenants, their promises, and the decision that keeps them."""

from __future__ import annotations

import numpy as np
import pytest

from policies.simulation.ours import Fitted
from policies.simulation.protocols import sla
from policies.simulation.queries import labelled
from policies.simulation.results import Figures
from policies.simulation.servers import pools
from policies.simulation.tenants import assigned, tenants
from policies.simulation.traces import merged, parse_trace
from tests.outcome_worlds import arrivals, table

TABLE = table(400, arms=("small", "middle", "strong"), timed=True)
TRACE = merged([parse_trace(arrivals(1500, per_s=3.0), name="a")])


@pytest.fixture(scope="module")
def found() -> dict[str, Figures]:
    rows = labelled(TABLE, tagged=False)
    return sla.measure(TABLE, rows, TRACE, learner=Fitted, seeds=1, now_ns=lambda: 0)


def test_ours_keeps_more_promises_and_earns_more_than_any_fixed_arm_or_rule(found: dict[str, Figures]) -> None:
    ours = found["trilemma"]
    others = [of for name, of in found.items() if name not in ("trilemma", "oracle")]
    assert ours.sla_attainment is not None
    assert ours.sla_attainment >= max(of.sla_attainment or 0.0 for of in others) - 0.1, "a window of thirteen"
    assert ours.utility >= max(of.utility for of in others) - 0.03, "400 rows, and it starts from nothing"


def test_a_window_counts_only_where_somebody_could_keep_the_promise(found: dict[str, Figures]) -> None:
    for tenant in ("support", "legal", "batch"):
        of = found["oracle"].tenants[tenant]
        assert 0 < of["feasible_windows"] <= of["windows"]


def test_a_fixed_arm_too_small_for_the_load_breaks_the_promise_of_speed(found: dict[str, Figures]) -> None:
    assert found["fixed:strong"].tenants["support"]["sla_attainment"] < 0.5
    assert found["trilemma"].tenants["support"]["p95_ttft_s"] < found["fixed:strong"].tenants["support"]["p95_ttft_s"]


def test_each_promise_is_judged_by_its_own_figure() -> None:
    idle = pools(TABLE, TRACE)
    support, legal, batch = tenants(TABLE, idle, TRACE)
    well = {"ttft_s": np.zeros(20), "quality": np.ones(20), "cost_usd": np.zeros(20)}
    for tenant, figure, bad in ((support, "ttft_s", 99.0), (legal, "quality", 0.0), (batch, "cost_usd", 1.0)):
        assert tenant.holds(**well)
        assert not tenant.holds(**well | {figure: np.full(20, bad)})
        for other in (support, legal, batch):
            assert other is tenant or other.holds(**well | {figure: np.full(20, bad)})


def test_one_slow_answer_in_forty_does_not_break_a_95th_percentile() -> None:
    support = tenants(TABLE, pools(TABLE, TRACE), TRACE)[0]
    ttft_s = np.zeros(40)
    ttft_s[0] = 99.0
    assert support.holds(ttft_s=ttft_s, quality=ttft_s, cost_usd=ttft_s)


def test_a_second_trace_is_the_batch_tenants() -> None:
    both = merged([parse_trace(arrivals(200, seed=seed), name="a") for seed in (0, 1)])
    tenant = assigned(both, seed=0)
    assert (tenant[both.origin == 1] == 2).all()
    assert set(tenant[both.origin == 0]) == {0, 1}
    assert set(assigned(TRACE, seed=0)) == {0, 1, 2}


def test_a_table_without_times_gets_assumed_ones_the_dearer_the_slower() -> None:
    idle = pools(table(50), TRACE)
    assert idle[0].profile.tpot_s < idle[1].profile.tpot_s
