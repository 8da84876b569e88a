from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.supervisor.memory import EVICT_AFTER_IDLE_S, room_for
from backends.supervisor.plan import (
    MAX_BACKOFF_S,
    MAX_FAILURES,
    Refuse,
    Rest,
    Retire,
    Start,
    Step,
    backoff_s,
    plan,
)
from backends.supervisor.views import RunView, VariantView
from backends.types import WorkerState

LOADING, WARM, DRAINING = WorkerState.LOADING, WorkerState.WARM, WorkerState.DRAINING
MANY = 10**12


def run(
    number: int = 1, *, revision: str = "r1", state: WorkerState = WARM, size: int = 100, **rest: object
) -> RunView:
    return RunView(id=number, revision=revision, state=state, resident_bytes=size, **rest)


def variant(name: str = "a", *runs: RunView, **rest: object) -> VariantView:
    known = {"revision": "r1", "wanted": True, "evictable": False, "expected_bytes": 100} | rest
    return VariantView(name=name, runs=runs, **known)


def steps_for(*variants: VariantView, now_s: float = 0.0, budget: int = MANY) -> list[Step]:
    return plan(variants, now_s=now_s, budget_bytes=budget)


def test_a_wanted_variant_without_a_worker_starts() -> None:
    assert steps_for(variant()) == [Start("a")]


@pytest.mark.parametrize(
    "settled",
    [
        variant("a", run()),
        variant("a", run(state=LOADING)),
        variant("a", wanted=False),
        variant("a", revision=None),
        variant("a", run(), revision=None),
        variant("a", retry_at_s=1.0),
        variant("a", gave_up=True),
        variant("a", run(idle_s=99.0, in_use=True), idle_stop_s=1.0),
        variant("a", run(idle_s=99.0), idle_stop_s=1.0, waiters=1),
        variant("a", run(idle_s=0.5), idle_stop_s=1.0),
    ],
)
def test_what_is_as_it_should_be_is_left_alone(settled: VariantView) -> None:
    assert steps_for(settled) == []


def test_first_starts_go_one_after_another_in_the_order_given() -> None:
    assert steps_for(variant("a"), variant("b")) == [Start("a")]
    assert steps_for(variant("a", run(state=LOADING)), variant("b")) == []
    assert steps_for(variant("a", run()), variant("b")) == [Start("b")]


def test_a_restart_or_a_waiting_caller_does_not_queue_behind_a_first_start() -> None:
    loading = variant("a", run(state=LOADING))
    assert steps_for(loading, variant("b", started_before=True)) == [Start("b")]
    assert steps_for(loading, variant("b", waiters=1)) == [Start("b")]
    assert steps_for(variant("a"), variant("b", waiters=1)) == [Start("b")]


def test_a_variant_that_failed_too_often_starts_only_for_a_caller() -> None:
    assert steps_for(variant(gave_up=True, waiters=1)) == [Start("a")]
    assert steps_for(variant(gave_up=True, waiters=1, retry_at_s=1.0)) == []


def test_an_unwanted_variant_is_retired_loading_or_warm() -> None:
    unwanted = variant("a", run(1), run(2, state=LOADING), run(3, state=DRAINING), wanted=False)
    assert {step.run_id for step in steps_for(unwanted) if isinstance(step, Retire)} == {1, 2}


def test_an_idle_variant_rests_after_its_time() -> None:
    assert steps_for(variant("a", run(idle_s=5.0), idle_stop_s=5.0)) == [Rest("a", "idle")]


def test_a_new_build_starts_beside_the_old_one_which_goes_when_the_new_one_is_warm() -> None:
    old, new = run(1), run(2, revision="r2", state=LOADING)
    assert steps_for(variant("a", old, revision="r2")) == [Start("a")]
    assert steps_for(variant("a", old, new, revision="r2")) == []
    warm = msgspec.structs.replace(new, state=WARM)
    assert steps_for(variant("a", old, warm, revision="r2")) == [Retire("a", 1)]


def test_a_build_outdated_while_it_loads_is_dropped_for_the_newer_one() -> None:
    view = variant("a", run(1), run(2, revision="r2", state=LOADING), revision="r3")
    assert steps_for(view) == [Retire("a", 2)]
    left = variant("a", run(1), run(2, revision="r2", state=DRAINING), revision="r3")
    assert steps_for(left) == [Start("a")]


def test_a_new_build_that_keeps_failing_leaves_the_old_one_serving() -> None:
    assert steps_for(variant("a", run(1), revision="r2", retry_at_s=9.0)) == []


def test_without_room_for_both_the_old_build_goes_first_once_it_is_unused() -> None:
    in_use = variant("a", run(1, in_use=True), revision="r2")
    assert steps_for(in_use, budget=150) == []
    assert steps_for(variant("a", run(1), revision="r2"), budget=150) == [Retire("a", 1)]
    assert isinstance(steps_for(variant("a", run(1), revision="r2", expected_bytes=200), budget=150)[0], Refuse)


def idle(name: str, *, idle_s: float, **rest: object) -> VariantView:
    return variant(name, run(5, idle_s=idle_s, **rest), evictable=True)


def test_room_is_made_by_the_least_recently_used_on_demand_variant() -> None:
    others = (idle("b", idle_s=10.0), idle("c", idle_s=30.0), variant("d", run(9, idle_s=99.0)))
    assert steps_for(variant("a"), *others, budget=300) == [Rest("c", "memory")]
    assert steps_for(variant("a", expected_bytes=200), *others, budget=300) == [
        Rest("c", "memory"),
        Rest("b", "memory"),
    ]


def test_memory_on_its_way_back_is_waited_for_and_nobody_else_is_stopped() -> None:
    leaving = variant("b", run(2, state=DRAINING), wanted=False, evictable=True)
    assert steps_for(variant("a"), leaving, idle("c", idle_s=50.0), budget=200) == []


@pytest.mark.parametrize("rest", [{"in_use": True}, {"idle_s": EVICT_AFTER_IDLE_S / 2}])
def test_a_variant_in_use_is_waited_for(rest: dict[str, object]) -> None:
    busy = variant("b", run(2, **rest), evictable=True)
    assert steps_for(variant("a"), busy, budget=150) == []


def test_what_can_never_fit_is_refused_with_figures() -> None:
    big = variant("a", expected_bytes=300 * 2**20)
    stays = variant("b", run(2, size=100 * 2**20))
    (refusal,) = steps_for(big, stays, idle("c", idle_s=50.0), budget=350 * 2**20)
    assert isinstance(refusal, Refuse)
    assert "300 MiB; 100 of 350 MiB" in refusal.reason


def test_a_refusal_does_not_keep_others_from_starting() -> None:
    steps = steps_for(variant("a", expected_bytes=999), variant("b"), budget=200)
    assert [type(step) for step in steps] == [Refuse, Start]


def test_back_off_doubles_to_its_bound() -> None:
    waits = [backoff_s(failures) for failures in range(MAX_FAILURES + 4)]
    assert waits[:4] == [0.0, 0.2, 0.4, 0.8]
    assert waits == sorted(waits)
    assert waits[-1] == MAX_BACKOFF_S


RUNS = st.builds(
    RunView,
    id=st.just(0),
    revision=st.sampled_from(["r1", "r2"]),
    state=st.sampled_from([LOADING, WARM, DRAINING]),
    resident_bytes=st.integers(1, 200),
    in_use=st.booleans(),
    idle_s=st.floats(0, 100),
)
VARIANTS = st.builds(
    VariantView,
    name=st.just("x"),
    revision=st.sampled_from([None, "r1", "r2"]),
    wanted=st.booleans(),
    evictable=st.booleans(),
    expected_bytes=st.integers(1, 300),
    waiters=st.integers(0, 2),
    runs=st.lists(RUNS, max_size=3).map(tuple),
    started_before=st.booleans(),
    retry_at_s=st.floats(0, 20),
    gave_up=st.booleans(),
    idle_stop_s=st.none() | st.floats(1, 50),
)


def named(variants: list[VariantView]) -> list[VariantView]:
    ids = itertools.count(1)
    return [
        msgspec.structs.replace(
            each,
            name=f"v{number}",
            runs=tuple(msgspec.structs.replace(run, id=next(ids)) for run in each.runs),
        )
        for number, each in enumerate(variants)
    ]


FLEETS = st.lists(VARIANTS, max_size=5).map(named)


@given(fleet=FLEETS, budget=st.integers(1, 800))
def test_no_plan_stops_work_or_breaks_the_budget(fleet: list[VariantView], budget: int) -> None:
    by_name = {each.name: each for each in fleet}
    for step in plan(fleet, now_s=10.0, budget_bytes=budget):
        view = by_name[step.name]
        if isinstance(step, Start):
            assert view.wanted
            assert room_for(view, fleet, budget_bytes=budget).fits
        if isinstance(step, Rest):
            assert not any(each.in_use for each in view.in_state(WARM))
            assert step.reason == "idle" or view.evictable
        if isinstance(step, Retire) and view.wanted:
            retired = next(each for each in view.runs if each.id == step.run_id)
            left = [each for each in view.in_state(WARM) if each.id != step.run_id]
            assert retired.state is LOADING or left or not retired.in_use


def carried_out(fleet: list[VariantView], steps: list[Step], ids: itertools.count[int]) -> list[VariantView]:
    views = {each.name: each for each in fleet}
    for step in steps:
        view = views[step.name]
        if isinstance(step, Start):
            new = run(next(ids), revision=view.revision or "", state=LOADING, size=view.expected_bytes)
            view = msgspec.structs.replace(view, runs=(*view.runs, new))
        elif isinstance(step, Rest):
            view = msgspec.structs.replace(view, wanted=False)
        elif isinstance(step, Retire):
            runs = (
                msgspec.structs.replace(each, state=DRAINING) if each.id == step.run_id else each
                for each in view.runs
            )
            view = msgspec.structs.replace(view, runs=tuple(runs))
        views[step.name] = view
    return list(views.values())


@given(fleet=FLEETS, budget=st.integers(1, 800))
def test_carrying_plans_out_comes_to_rest(fleet: list[VariantView], budget: int) -> None:
    ids = itertools.count(1000)
    for _ in range(4 * len(fleet) + 4):
        steps = plan(fleet, now_s=10.0, budget_bytes=budget)
        if all(isinstance(step, Refuse) for step in steps):
            return
        fleet = carried_out(fleet, steps, ids)
    pytest.fail("the planner goes in circles")
