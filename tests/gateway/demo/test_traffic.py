from __future__ import annotations

from collections import Counter

import pytest

from gateway.demo.comparison import AnsweredTask, against_best_fixed, shares
from gateway.demo.recordings import MODELS, UtilityPrices, best_fixed, packaged_tasks
from gateway.demo.traffic import TENANTS, PlannedRequest, prices_of, tenant_sections, traffic_plan

TASKS = packaged_tasks()
SMALL, MIDDLE, LARGE = MODELS


def plan(*, seconds: float = 160.0, seed: int = 1) -> list[PlannedRequest]:
    return traffic_plan(TASKS, seconds=seconds, rate_per_s=4.0, seed=seed)


def answered(model: str, *, count: int = 42, tenant: str = "support-bot") -> list[AnsweredTask]:
    return [AnsweredTask(tenant=tenant, task=TASKS[n % len(TASKS)], variant=model) for n in range(count)]


def test_the_default_traffic_is_more_than_six_hundred_requests_in_order() -> None:
    moments = [request.at_s for request in plan()]
    assert len(moments) == 640
    assert moments == sorted(moments)
    assert 0.0 <= moments[0] <= moments[-1] <= 160.25


def test_the_same_seed_makes_the_same_traffic_and_another_one_another() -> None:
    assert plan(seed=3) == plan(seed=3)
    assert plan(seed=3) != plan(seed=4)


def test_each_tenant_asks_everything_before_it_asks_something_again() -> None:
    for tenant in TENANTS:
        own = [request.task.id for request in plan() if request.tenant == tenant]
        assert len(own) == 320
        assert set(Counter(own[: len(TASKS)]).values()) == {1}
        counts = Counter(own).values()
        assert max(counts) - min(counts) <= 1


def test_the_tenants_ask_in_different_orders() -> None:
    first, second = ([r.task.id for r in plan() if r.tenant == tenant] for tenant in TENANTS)
    assert first != second


def test_promised_times_shrink_with_the_replay() -> None:
    [support, legal] = tenant_sections(speed=10.0)
    assert support["sla"]["ttft_p95_s"] == pytest.approx(TENANTS[0].ttft_p95_s / 10.0)  # type: ignore[operator]
    assert legal["sla"]["mean_quality"] == TENANTS[1].mean_quality


def test_the_tenants_prefer_different_models() -> None:
    assert [best_fixed(TASKS, prices_of(tenant, TASKS)) for tenant in TENANTS] == [MIDDLE, LARGE]


def test_shares_are_of_all_models() -> None:
    assert shares(answered(SMALL, count=3) + answered(LARGE, count=1)) == {SMALL: 0.75, MIDDLE: 0.0, LARGE: 0.25}
    assert shares([]) == dict.fromkeys(MODELS, 0.0)


def test_the_best_fixed_model_differs_from_itself_by_nothing() -> None:
    found = against_best_fixed(answered(LARGE), TASKS, UtilityPrices())
    assert found is not None
    assert (found.best_fixed, found.difference.mean, found.difference.low) == (LARGE, 0.0, 0.0)


def test_the_difference_is_paired_and_lies_within_its_interval() -> None:
    found = against_best_fixed(answered(SMALL), TASKS, UtilityPrices())
    assert found is not None
    assert found.difference.mean == pytest.approx(found.realised - found.fixed)
    low, high = found.difference.low, found.difference.high
    assert low is not None
    assert high is not None
    assert low < found.difference.mean < high < 0.0
    assert found.last_third.requests == 14


def test_one_request_has_no_interval_and_none_no_comparison() -> None:
    one = against_best_fixed(answered(SMALL, count=1), TASKS, UtilityPrices())
    assert one is not None
    assert one.difference.low is None
    assert against_best_fixed([], TASKS, UtilityPrices()) is None
