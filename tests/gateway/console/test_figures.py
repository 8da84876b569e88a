"""The overview's figures are the log's, the front holds what nothing beats, and a silent log delays no page."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from backends.types import Engine, Price, Variant, VariantKind, VariantStatus, WorkerState
from gateway.clock import SYSTEM_CLOCK
from gateway.console import kept
from gateway.console.frontier import ENOUGH, frontier
from gateway.console.kept import Kept
from gateway.console.spark import HEIGHT, spark
from gateway.console.traffic import BUCKET_S, BUCKETS, RECENT_S, Bucket, Given, Hour, hour, recent
from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from gateway.decisions.types import Ending
from gateway.decisions.write import insert
from gateway.routing.catalogue import VariantView
from tests.decision_rows import decision, outcome

NOW_S = 1_700_000_005.0


def view(name: str, *, quality: float, tpot_s: float, usd_per_mtok: float) -> VariantView:
    variant = Variant(
        name=name,
        kind=VariantKind.REMOTE,
        engine=Engine.OPENAI,
        source="http://v",
        price=Price(prompt_per_mtok_usd=usd_per_mtok, completion_per_mtok_usd=usd_per_mtok),
        quality=quality,
        ttft_s=0.1,
        tpot_s=tpot_s,
    )
    return VariantView(variant=variant, status=VariantStatus(name=name, state=WorkerState.WARM))


def test_the_last_minutes_are_those_of_the_log(url: str) -> None:
    engine = open_engine(url)
    upgrade(engine)
    rows = []
    for number in range(100):
        made = {"created_at_s": NOW_S - 1 - 2 * number, "fallback_used": number < 3}
        rows.append(decision(f"d{number}", **made))
        failed = {"ending": Ending.FAILED, "error_type": "upstream_error"} if number < 10 else {}
        rows.append(outcome(f"d{number}", latency_s=number / 10, ttft_s=0.2, streamed=number % 2 == 0, **failed))
    rows.append(decision("left", created_at_s=NOW_S - 2))
    rows.append(outcome("left", ending=Ending.CANCELLED))
    rows.append(decision("own", created_at_s=NOW_S - 2))
    rows.append(outcome("own", ending=Ending.FAILED, error_type="invalid_request_error"))
    rows.append(decision("at work", created_at_s=NOW_S - 2))
    rows.append(decision("long ago", created_at_s=NOW_S - RECENT_S - 1))
    insert(engine, rows)
    found = recent(engine, now_s=NOW_S)
    engine.dispose()
    assert (found.requests, found.answered, found.failed, found.fallbacks) == (103, 90, 10, 3)
    assert found.error_share == 0.1
    assert found.per_s == pytest.approx(103 / RECENT_S)
    assert found.latency_p50_s == pytest.approx(5.45)
    assert found.latency_p95_s == pytest.approx(9.455)
    assert found.ttft_p50_s == 0.2
    assert len(found.buckets) == BUCKETS
    assert sum(bucket.requests for bucket in found.buckets) == 103
    assert found.buckets[-1].other == 3
    assert found.buckets[0].requests == 0


def test_the_last_hour_is_counted_by_tenant_and_by_variant(url: str) -> None:
    engine = open_engine(url)
    upgrade(engine)
    rows = []
    for number in range(6):
        rows.append(decision(f"d{number}", created_at_s=NOW_S - 10, tenant="ab"[number % 2]))
        cache = "exact" if number == 0 else "miss"
        rows.append(outcome(f"d{number}", variant="v", cost_usd=0.01, latency_s=number, cache=cache, quality=0.5))
    rows.append(decision("old", created_at_s=NOW_S - 4000, tenant="c"))
    rows.append(outcome("old"))
    insert(engine, rows)
    found = hour(engine, now_s=NOW_S)
    engine.dispose()
    assert found.tenants["a"] == Given(answers=3, latency_s=2.0, cost_usd=pytest.approx(0.01), quality=0.5)
    assert set(found.tenants) == {"a", "b"}
    assert found.variants["v"].answers == 5, "what a cache gave is no work of the variant"
    assert (found.prompt_tokens, found.completion_tokens) == (61, 64)


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0.001, 1), st.floats(0.01, 100)), min_size=1, max_size=8, unique=True
    ),
    st.sampled_from(["cost_usd", "latency_s"]),
)
def test_nothing_beats_what_is_on_the_front_and_something_beats_everything_else(
    figures: list[tuple[float, float, float]], axis: str
) -> None:
    views = [view(f"v{n}", quality=q, tpot_s=t, usd_per_mtok=p) for n, (q, t, p) in enumerate(figures)]
    found = frontier(views, None, axis="cost_usd" if axis == "cost_usd" else "latency_s")
    places = {place.name: place for place in found.variants}

    def at(name: str) -> tuple[float, float]:
        return getattr(places[name], axis), -(places[name].quality or 0.0)

    def beaten(name: str) -> bool:
        mine = at(name)
        return any(other != mine and other[0] <= mine[0] and other[1] <= mine[1] for other in map(at, places))

    assert found.front
    assert not any(beaten(name) for name in found.front)
    best = {at(name) for name in found.front}
    assert all(beaten(name) or at(name) in best for name in places)


def test_what_was_observed_takes_the_place_of_what_was_stated_once_it_is_enough() -> None:
    given_ = Given(answers=ENOUGH, latency_s=9.0, cost_usd=0.5, quality=0.3)
    views = [view("v", quality=0.9, tpot_s=0.01, usd_per_mtok=1.0)]
    seen = Hour(tenants={"law": given_}, variants={"v": given_}, prompt_tokens=100, completion_tokens=11)
    found = frontier(views, seen, axis="cost_usd")
    assert (found.variants[0].basis, found.variants[0].latency_s, found.tenants[0].name) == ("observed", 9.0, "law")
    few = Given(answers=ENOUGH - 1, latency_s=9.0, cost_usd=0.5, quality=0.3)
    found = frontier(
        views, Hour(tenants={}, variants={"v": few}, prompt_tokens=100, completion_tokens=11), axis="cost_usd"
    )
    assert found.variants[0].basis == "stated"
    assert found.variants[0].latency_s == pytest.approx(0.1 + 10 * 0.01)
    assert found.variants[0].cost_usd == pytest.approx(111e-6)


@given(st.lists(st.tuples(*[st.integers(0, 1000)] * 3), min_size=1, max_size=40))
def test_bars_stay_inside_their_picture(counts: list[tuple[int, int, int]]) -> None:
    picture = spark([Bucket(answered=a, failed=f, other=o) for a, f, o in counts])
    for bar in picture.bars:
        assert -0.02 <= bar.failed_y <= bar.ok_y <= HEIGHT
        assert bar.ok_height + bar.failed_height <= HEIGHT + 0.02
        assert 0 <= bar.x < bar.x + bar.width <= picture.width
    assert picture.most_per_s == max([sum(c) for c in counts] + [1]) / BUCKET_S


async def test_many_pages_cost_as_much_as_one_and_a_silent_database_delays_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s, looks, silent = [0.0], [0], threading.Event()
    silent.set()

    def read() -> int:
        looks[0] += 1
        silent.wait(5)
        if looks[0] == 3:
            raise OperationalError("SELECT", {}, Exception("gone"))
        return looks[0]

    figures = Kept(read, for_s=2.0, clock=replace(SYSTEM_CLOCK, monotonic_s=lambda: now_s[0]))
    assert set(await asyncio.gather(*(figures.get() for _ in range(50)))) == {1}
    now_s[0] = 1.9
    assert await figures.get() == 1
    silent.clear()
    now_s[0] = 2.0
    monkeypatch.setattr(kept, "PATIENCE_S", 0.01)
    assert set(await asyncio.gather(*(figures.get() for _ in range(5)))) == {1}
    assert figures.trouble == "the database does not answer"
    silent.set()
    monkeypatch.setattr(kept, "PATIENCE_S", 5.0)
    assert await figures.get() == 2
    assert figures.trouble == ""
    now_s[0] = 9.0
    assert await figures.get() == 2, "what was known last is shown on"
    assert figures.trouble == "the database refuses to be read"
    assert looks[0] == 3
