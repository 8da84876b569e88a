"""Figures are said in words that do not claim more than the log can tell, and reports are made once for many."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy.engine import Engine

from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from gateway.decisions.write import insert
from gateway.learning.errors import ReportError
from gateway.learning.learning_report import KEEP_FOR_S, STALE_FOR_S, LearningQuery, LearningReport, LearningReports
from gateway.learning.learning_words import caveats, headline, period_text, plus_minus
from gateway.learning.report_process import learning_report, report_from_process
from policies.evaluation.learning_figures import learning_figures
from policies.evaluation.learning_types import LearningFigures
from policies.evaluation.routed import RoutedRequest
from tests.decision_rows import sqlite_url
from tests.routed_worlds import START_S, routed, routed_world, rows_of, verdict

DAY_S = 86_400.0


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = START_S

    def wall_s(self) -> float:
        return self.now_s

    def monotonic_s(self) -> float:
        return self.now_s


class Action(StrEnum):
    FIT = "fit"


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """As `gateway.learning.trainings` has it."""

    number: int
    created_at_s: float = START_S - 60
    rows: int = 120
    judged_rows: int = 80
    in_force: dict[str, str]
    promoted: dict[str, bool]
    because: dict[str, str]
    took_s: float = 4.0
    action: Action = Action.FIT
    report: dict[str, Any] = {}


TRAININGS = [
    Training(
        number=number,
        in_force={"answers": "abc"},
        promoted={"answers": True, "latency": False},
        because={"answers": "It is worth 0.02 more.", "latency": "It is no better."},
    )
    for number in range(1, 4)
]


def trainings(engine: Engine, *, limit: int = 20) -> Sequence[Training]:
    return TRAININGS[:limit]


def figures(requests: Sequence[RoutedRequest]) -> LearningFigures:
    return learning_figures(requests, since_s=START_S, until_s=START_S + 1e6)


@pytest.mark.parametrize(
    ("requests", "sentence"),
    [
        ([], "No request was routed over the last 24 hours."),
        (
            routed_world(1, rows=1).requests,
            "cannot be told over the last 24 hours: 1 request was drawn by chance and judged, 50 are needed.",
        ),
        (routed_world(1, rows=1500, sharpness=30.0).requests, "better than always `large`, over the last 24 hours."),
        (routed_world(1, rows=1500, sharpness=-12.0).requests, "worse than always `large`, over the last 24 hours."),
        (
            routed_world(2, rows=200, sharpness=100.0, context=0.0).requests,
            "Routing is about as good as always `large`: 0.0",
        ),
    ],
    ids=["nothing", "too little", "better", "worse", "as good"],
)
def test_the_headline_says_what_the_interval_says(requests: list[RoutedRequest], sentence: str) -> None:
    assert sentence in headline(figures(requests), period_s=DAY_S)


def test_a_log_in_which_nothing_was_drawn_says_why_it_cannot_tell() -> None:
    """Two variants, each taken with certainty for its half: no answer says what the other would have done."""
    requests = [
        routed(
            "ab"[n % 2],
            verdict("a", propensity=float(n % 2 == 0)),
            verdict("b", propensity=float(n % 2)),
            number=n,
            realised=routed_world(1, rows=1).requests[0].realised,
        )
        for n in range(60)
    ]
    assert "no variant was chosen often enough" in headline(figures(requests), period_s=DAY_S)


def test_what_weakens_the_comparison_is_said() -> None:
    requests = routed_world(5, rows=400, sharpness=200.0, context=0.02).requests
    pinned = [msgspec.structs.replace(request, pinned=True) for request in requests[:3]]
    told = " ".join(caveats(figures([*pinned, *requests]), complete=False))
    assert "Only the newest 403 requests" in told
    assert "400 of 403 requests are compared: 3 named their variant." in told
    assert "`small` was chosen too seldom to be compared" in told
    bad = caveats(figures(routed_world(1, rows=1500, sharpness=-12.0).requests), complete=True)
    assert any("worse than always `large` with 95 % confidence" in text for text in bad)


def test_periods_and_margins_are_short() -> None:
    assert [period_text(s) for s in (86_400.0, 604_800.0, 3600.0, 5400.0, 60.0, 5.0)] == [
        "24 hours",
        "7 days",
        "hour",
        "1.5 hours",
        "minute",
        "5 seconds",
    ]
    assert plus_minus(0.0412, 0.0234) == "0.04 ± 0.02"
    assert plus_minus(0.0412, 0.0023) == "0.041 ± 0.002"


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    made = open_engine(sqlite_url(tmp_path / "log.db"))
    upgrade(made)
    return made


def test_a_report_holds_the_period_the_words_and_the_trainings(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.learning.trainings.latest", trainings)
    insert(engine, rows_of(routed_world(1, rows=100).requests, ends_s=START_S - 1))
    query = LearningQuery(tenant="law")
    found = learning_report(engine, query, now_s=START_S)
    engine.dispose()
    assert (found.query, found.until_s - found.since_s, found.figures.requests) == (query, DAY_S, 100)
    assert found.headline == headline(found.figures, period_s=DAY_S)
    assert [line.promoted for line in found.trainings] == [{"answers": True, "latency": False}] * 3
    assert found.trainings[0].action == "fit"
    again = msgspec.json.decode(msgspec.json.encode(found), type=type(found))
    assert again == found


async def test_a_report_is_made_once_for_many_and_anew_after_a_while(engine: Engine) -> None:
    clock, asked = Clock(), list[LearningQuery]()

    async def make(query: LearningQuery) -> LearningReport:
        asked.append(query)
        await asyncio.sleep(0)
        return learning_report(engine, query, now_s=clock.now_s)

    reports = LearningReports(make, clock=clock)
    one, two = await asyncio.gather(reports.of(LearningQuery()), reports.of(LearningQuery()))
    assert one is two
    assert await reports.of(LearningQuery()) is one
    await reports.of(LearningQuery(tenant="law"))
    assert len(asked) == 2
    clock.now_s += KEEP_FOR_S
    assert await reports.of(LearningQuery()) is not one
    engine.dispose()


async def test_a_failed_report_is_tried_again_and_one_that_is_given_up_ends(engine: Engine) -> None:
    left = [ReportError("gone")]

    async def make(query: LearningQuery) -> LearningReport:
        if left:
            raise left.pop()
        if query.tenant:
            await asyncio.Event().wait()
        return learning_report(engine, query, now_s=START_S)

    reports = LearningReports(make, clock=Clock())
    with pytest.raises(ReportError):
        await reports.of(LearningQuery())
    assert (await reports.of(LearningQuery())).figures.requests == 0
    waiting = asyncio.create_task(reports.of(LearningQuery(tenant="law")))
    await asyncio.sleep(0)
    await reports.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    engine.dispose()


async def test_an_older_report_is_given_while_a_new_one_takes_long(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.learning.learning_report.RENEWED_WITHIN_S", 0.0)
    clock, may_go_on = Clock(), asyncio.Event()
    may_go_on.set()

    async def make(query: LearningQuery) -> LearningReport:
        await may_go_on.wait()
        return learning_report(engine, query, now_s=clock.now_s)

    reports = LearningReports(make, clock=clock)
    first = await reports.of(LearningQuery())
    may_go_on.clear()
    clock.now_s += STALE_FOR_S - 1
    assert await reports.of(LearningQuery()) is first
    clock.now_s += 1
    renewed = asyncio.create_task(reports.of(LearningQuery()))
    await asyncio.sleep(0)
    may_go_on.set()
    assert await renewed is not first
    engine.dispose()


async def test_another_process_makes_the_same_report(engine: Engine) -> None:
    insert(engine, rows_of(routed_world(1, rows=100).requests, ends_s=START_S - 1))
    query = LearningQuery(hint="balanced")
    url = engine.url.render_as_string(hide_password=False)
    assert await report_from_process(url, query, now_s=START_S) == learning_report(engine, query, now_s=START_S)
    engine.dispose()


async def test_a_database_that_cannot_be_read_is_a_report_that_could_not_be_made(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="OperationalError"):
        await report_from_process(sqlite_url(tmp_path / "empty.db"), LearningQuery(), now_s=START_S)
