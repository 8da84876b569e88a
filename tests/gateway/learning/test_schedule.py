"""The trainer runs on the first evidence, with much more of it or after a change, never more often than allowed."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from gateway.clock import Clock
from gateway.decisions.types import Ending, Row
from gateway.decisions.write import insert
from gateway.learning import schedule, trainings
from gateway.learning.change_requests import ChangeRequests
from gateway.learning.schedule import Evidence, ask, due, evidence, run_in_process, watch
from gateway.settings import TrainingSettings
from tests.decision_rows import decision, observation, outcome
from tests.learned_state import a_fit

SETTINGS = TrainingSettings()


def answers(count: int, *, judged: bool = True, prefix: str = "dec", **changes: object) -> list[Row]:
    rows: list[Row] = []
    for number in range(count):
        name = f"{prefix}_{number}"
        rows += [decision(name), outcome(name, **changes), *([observation(name)] if judged else [])]
    return rows


def trained(engine: Engine, *, judged_rows: int) -> trainings.Training:
    """A training that has read all that is there by now."""
    now_s = evidence_time_s(engine)
    newest = trainings.latest(engine, limit=1)
    fit = a_fit(after=newest[0].number if newest else 0, read_at_s=now_s, judged_rows=judged_rows)
    return trainings.record(engine, fit, publish=True)


def evidence_time_s(engine: Engine) -> float:
    from gateway.decisions.database_clock import database_now

    with engine.connect() as connection:
        return float(connection.execute(sa.select(database_now())).scalar_one()) + 0.001


def test_answers_count_once_however_often_they_were_judged(engine: Engine) -> None:
    insert(engine, [*answers(3), observation("dec_0", number=2, name="other")])
    insert(engine, answers(2, judged=False, prefix="unjudged"))
    insert(engine, answers(2, prefix="failed", ending=Ending.FAILED))
    insert(engine, [*answers(1, judged=False, prefix="weightless"), observation("weightless_0", weight=0.0)])
    found = evidence(engine)
    assert (found.judged, found.answered, found.judged_before) == (3, 6, 0)


def test_only_what_came_after_the_last_training_is_new(engine: Engine) -> None:
    insert(engine, answers(5))
    trained(engine, judged_rows=5)
    assert (evidence(engine).judged, evidence(engine).judged_before) == (0, 5)
    insert(engine, [observation("dec_1", number=2, name="late")])
    trainings.turn_off(engine, author=trainings.Author(name="a", reason="r"))
    assert evidence(engine).judged == 1, "what an operator did is no training"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Evidence(judged=49), False),
        (Evidence(judged=50), True),
        (Evidence(judged=24, judged_before=50), False),
        (Evidence(judged=25, judged_before=50), True),
        (Evidence(judged=400, judged_before=1000), False),
        (Evidence(judged=500, judged_before=1000), True),
        (Evidence(answered=499), False),
        (Evidence(answered=500), True),
        (Evidence(answered=500, answered_before=2000), False),
        (Evidence(answered=1000, answered_before=2000), True),
        (Evidence(judged_before=1000, asked_because="the answers of `full` changed"), True),
    ],
)
def test_what_is_due(found: Evidence, expected: bool) -> None:
    assert (due(found, SETTINGS) is not None) is expected


def test_a_change_asks_for_a_training_until_there_is_one(engine: Engine) -> None:
    ask(engine, because="the answers of `full` changed")
    ask(engine, because="the answers of `full` changed")
    assert due(evidence(engine), SETTINGS) == "the answers of `full` changed"
    trained(engine, judged_rows=5)
    assert due(evidence(engine), SETTINGS) is None


async def test_each_change_that_the_learner_notices_is_asked_about_once(engine: Engine) -> None:
    changes: dict[str, list[float]] = {"full": [1.0]}
    requests = ChangeRequests(engine, lambda: changes)
    await requests.look()
    assert evidence(engine).asked_because is None, "it was noticed by an earlier process"
    changes["tiny"] = [2.0]
    await requests.look()
    assert evidence(engine).asked_because == "the answers of `tiny` changed"
    trained(engine, judged_rows=5)
    await requests.look()
    assert evidence(engine).asked_because is None


class Played:
    """A clock that only sleeping moves, and trainings that are counted."""

    def __init__(self, outcomes: Sequence[bool]) -> None:
        self.now_s = 0.0
        self.outcomes = list(outcomes)
        self.began_s: list[float] = []
        self.clock = Clock(wall_s=lambda: self.now_s, monotonic_s=lambda: self.now_s)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        if not self.outcomes:
            raise KeyboardInterrupt

    def train(self) -> bool:
        self.began_s.append(self.now_s)
        return self.outcomes.pop(0)


def play(engine: Engine, outcomes: Sequence[bool]) -> list[float]:
    played = Played(outcomes)
    with pytest.raises(KeyboardInterrupt):
        watch(engine, SETTINGS, train=played.train, clock=played.clock, sleep=played.sleep)
    return played.began_s


def test_trainings_are_a_minute_apart_at_least(engine: Engine) -> None:
    insert(engine, answers(60))
    assert play(engine, [True, True, True]) == [0.0, 60.0, 120.0]


def test_trainings_that_fail_are_tried_again_later_and_later(engine: Engine) -> None:
    insert(engine, answers(60))
    assert play(engine, [False, False, True, True]) == [0.0, 120.0, 360.0, 420.0]


def test_a_database_that_fails_is_logged_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks = iter([True, True, False])

    def found(_: Engine) -> Evidence:
        if next(looks):
            raise sa.exc.OperationalError("SELECT", {}, Exception("gone"))
        return Evidence(judged=50)

    monkeypatch.setattr(schedule, "evidence", found)
    assert play(engine, [True]) == [10.0]
    assert [record.message.split(": ")[0] for record in caplog.records if record.levelname == "WARNING"] == [
        "the log cannot be looked at"
    ] * 2


def test_a_training_runs_as_a_program() -> None:
    assert run_in_process([sys.executable, "-c", "pass"])
    assert not run_in_process([sys.executable, "-c", "raise SystemExit(1)"])


def test_old_settings_are_still_read() -> None:
    settings = msgspec.convert({"interval_s": 3600, "min_rows": 500}, TrainingSettings)
    assert (settings.interval_s, settings.min_rows, settings.min_judged) == (3600, 500, 50)
