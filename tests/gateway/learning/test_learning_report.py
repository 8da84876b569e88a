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
from sqlalchemy.exc import OperationalError

from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from gateway.decisions.write import insert
from gateway.learning.learning_report import KEEP_FOR_S, LearningQuery, LearningReports, learning_report
from gateway.learning.learning_words import caveats, headline, period_text, plus_minus
from policies.evaluation.learning_figures import LearningFigures, learning_figures
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


def test_a_report_holds_the_period_the_words_and_the_trainings(engine: Engine) -> None:
    insert(engine, rows_of(routed_world(1, rows=100).requests, ends_s=START_S - 1))
    query = LearningQuery(tenant="law")
    found = learning_report(engine, query, now_s=START_S, trainings=trainings)
    engine.dispose()
    assert (found.query, found.until_s - found.since_s, found.figures.requests) == (query, DAY_S, 100)
    assert found.headline == headline(found.figures, period_s=DAY_S)
    assert [line.promoted for line in found.trainings] == [{"answers": True, "latency": False}] * 3
    assert found.trainings[0].action == "fit"
    again = msgspec.json.decode(msgspec.json.encode(found), type=type(found))
    assert again == found


async def test_a_report_is_made_once_for_many_and_anew_after_a_while(engine: Engine) -> None:
    clock, asked = Clock(), list[int]()

    def counted(engine: Engine, *, limit: int = 20) -> Sequence[Any]:
        asked.append(limit)
        return ()

    reports = LearningReports(engine, clock=clock, trainings=counted)
    one, two = await asyncio.gather(reports.of(LearningQuery()), reports.of(LearningQuery()))
    assert one is two
    assert await reports.of(LearningQuery()) is one
    await reports.of(LearningQuery(tenant="law"))
    assert len(asked) == 2
    clock.now_s += KEEP_FOR_S
    assert await reports.of(LearningQuery()) is not one
    engine.dispose()


async def test_a_failed_report_is_tried_again(engine: Engine) -> None:
    left = [OperationalError("select", {}, Exception("gone"))]

    def failing(engine: Engine, *, limit: int = 20) -> Sequence[Any]:
        if left:
            raise left.pop()
        return ()

    reports = LearningReports(engine, clock=Clock(), trainings=failing)
    with pytest.raises(OperationalError):
        await reports.of(LearningQuery())
    assert (await reports.of(LearningQuery())).figures.requests == 0
    engine.dispose()
