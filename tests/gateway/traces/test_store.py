"""Kept traces: written, found again page by page, and held within their bounds, on either database."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from sqlalchemy.engine import Engine

from gateway.telemetry.settings import TraceSettings
from gateway.traces import writer
from gateway.traces.query import TraceFilter, blamed, find, get, similar
from gateway.traces.retention import prune
from gateway.traces.table import packed, unpacked
from gateway.traces.table import traces as table
from gateway.traces.types import TraceRow
from gateway.traces.writer import TraceLog, insert
from tests.trace_rows import trace, traces

NOW_S = 1_700_010_000.0


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


@given(traces())
def test_spans_come_back_as_they_were_stored(row: TraceRow) -> None:
    assert unpacked(packed(row.spans)) == row.spans


def test_a_trace_is_found_by_each_of_its_ids(engine: Engine) -> None:
    row = trace(7, tenant=None, variant=None, error_type="a\0b")
    insert(engine, [row, trace(8), row])
    for name in (row.span_id, row.trace_id, row.request_id, row.decision_id or ""):
        found = get(engine, name)
        assert found is not None
        assert (found.span_id, found.spans, found.error_type) == (row.span_id, row.spans, "a\ufffdb")
    assert get(engine, "req_9") is None
    assert count(engine) == 2


@pytest.mark.parametrize("order", ["newest", "slowest"])
def test_pages_hold_every_trace_once_and_in_order(engine: Engine, order: Any) -> None:
    # Many of the same age and duration: the cursor must not lose or repeat any of them.
    insert(engine, [trace(n, started_at_s=NOW_S + n % 3, duration_s=1.0 + n % 4) for n in range(53)])
    seen, cursor = [], None
    while True:
        page = find(engine, TraceFilter(order=order, limit=10, cursor=cursor))
        seen += page.rows
        if (cursor := page.next) is None:
            break
    assert len({row.span_id for row in seen}) == len(seen) == 53
    keys = [row.started_at_s if order == "newest" else row.duration_s for row in seen]
    assert keys == sorted(keys, reverse=True)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"tenant": "law"}, {1, 2}),
        ({"variant": "full"}, {3}),
        ({"stage": "load"}, {2}),
        ({"kept": "failed"}, {4}),
        ({"error_type": "overloaded"}, {4}),
        ({"min_s": 5.0}, {3}),
        ({"since_s": 1_700_000_002.0, "until_s": 1_700_000_004.0}, {2, 3}),
        ({"tenant": "law", "stage": "queue"}, {1}),
    ],
)
def test_a_filter_leaves_out_what_does_not_fit(engine: Engine, asked: dict[str, Any], expected: set[int]) -> None:
    others = [trace(3, tenant="zoo", variant="full", duration_s=9.0)]
    others.append(trace(4, tenant="zoo", kept="failed", error_type="overloaded"))
    insert(engine, [trace(1), trace(2, stage="load"), *others])
    assert {int(row.span_id, 16) for row in find(engine, TraceFilter(**asked)).rows} == expected


def test_what_is_alike_is_of_the_same_variant_and_has_the_same_to_blame(engine: Engine) -> None:
    insert(engine, [trace(n) for n in range(1, 6)] + [trace(6, stage="load"), trace(7, variant="full")])
    assert [int(row.span_id, 16) for row in similar(engine, trace(3), limit=3)] == [5, 4, 2]


def test_the_cause_that_costs_most_comes_first(engine: Engine) -> None:
    insert(engine, [trace(n) for n in (1, 2)] + [trace(3, stage="load", stage_s=60.0)])
    assert [(b.stage, b.requests) for b in blamed(engine, TraceFilter())] == [("load", 1), ("queue", 2)]


@pytest.mark.parametrize(
    ("bounds", "left"),
    [
        ({"max_age_s": 60.0}, {60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79}),
        ({"max_rows": 100}, set(range(80))),
        ({}, set(range(80))),
    ],
)
def test_what_is_too_old_goes_and_the_rest_stays(engine: Engine, bounds: dict[str, Any], left: set[int]) -> None:
    insert(engine, [trace(n, started_at_s=NOW_S + n) for n in range(80)])
    removed = prune(engine, TraceSettings(**bounds), now_s=NOW_S + 120.0)
    assert {int(row.span_id, 16) for row in find(engine, TraceFilter(limit=1000)).rows} == left
    assert removed == 80 - len(left)


def test_too_many_and_too_large_go_oldest_first(engine: Engine) -> None:
    insert(engine, [trace(n, started_at_s=NOW_S + n) for n in range(150)])
    prune(engine, TraceSettings(max_rows=100), now_s=NOW_S)
    kept = [int(row.span_id, 16) for row in find(engine, TraceFilter(limit=1000)).rows]
    assert kept == list(range(149, 59, -1))


def test_many_writers_and_two_that_remove_stay_within_the_bound(engine: Engine) -> None:
    settings = TraceSettings(max_rows=100)
    failures: list[Exception] = []

    def write(first: int) -> None:
        try:
            for n in range(first, first + 200, 20):
                insert(engine, [trace(n + i, started_at_s=NOW_S + n + i) for i in range(20)])
                prune(engine, settings, now_s=NOW_S)
        except sa.exc.SQLAlchemyError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(1000 * n,)) for n in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    prune(engine, settings, now_s=NOW_S)
    assert 0 < count(engine) <= 100


async def test_a_writer_drops_the_oldest_when_too_many_wait(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_BACKLOG", 5)
    log = TraceLog(engine, interval_s=60.0)
    for n in range(8):
        log.record(trace(n))
    await log.aclose()
    assert (log.stats.written, log.stats.dropped, log.stats.backlog) == (5, 3, 0)
    found = await asyncio.to_thread(find, engine, TraceFilter())
    assert {int(row.span_id, 16) for row in found.rows} == {3, 4, 5, 6, 7}


async def test_what_the_database_refuses_is_dropped_and_counted(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE traces"))
    log = TraceLog(engine, interval_s=60.0)
    log.record(trace(1))
    await log.aclose()
    assert (log.stats.written, log.stats.dropped) == (0, 1)


def test_lists_are_read_by_an_index(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("plans of PostgreSQL depend on how many rows there are")
    with engine.connect() as connection:
        for where in ("tenant = 'a'", "variant = 'a'", "stage = 'a'", "1"):
            text = f"EXPLAIN QUERY PLAN SELECT span_id FROM traces WHERE {where} ORDER BY started_at_s DESC LIMIT 50"
            plan = " ".join(str(row) for row in connection.execute(sa.text(text)))
            assert "USING INDEX ix_traces" in plan
            assert "TEMP B-TREE" not in plan
