"""What any process writes to the log reaches every other one: once, whatever the order, and again when it changed."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from gateway.decisions.database_clock import database_now
from gateway.decisions.log import DecisionLog
from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import metadata, observations, open_engine, outcomes
from gateway.decisions.types import Ending, ObservationRow, ObservationSource, OutcomeRow, Row
from gateway.decisions.write import insert
from gateway.learning import tail as tails
from gateway.learning.following import LogFollower
from gateway.learning.tail import SETTLE_S, LogTail, Position
from policies.features.layout import VERSION
from policies.features.stored import to_stored
from policies.samples import Sample
from tests.decision_rows import decision, observation, outcome, sqlite_url
from tests.fitted import FEATURES


def answered(name: str, **changes: Any) -> list[Row]:
    """A decision and its answer; changes are of the outcome, and `forced` is of the decision."""
    forced = changes.pop("forced", False)
    verdict = {"variant": "quantized", "state": "warm"}
    made = decision(name, candidates=[verdict], features=to_stored(FEATURES), features_hash=VERSION, forced=forced)
    return [made, outcome(name, **changes)]


def judged(name: str, score: float, *, number: int = 1, **changes: Any) -> Row:
    return observation(name, number=number, score=score, **changes)


def follow(engine: Engine, position: Position | None = None) -> LogTail:
    return LogTail(engine, variants=["quantized"], position=position)


def known(samples: Sequence[Sample]) -> list[tuple[str, float | None]]:
    return [(sample.decision_id, sample.quality) for sample in samples]


def written(engine: Engine, seconds_ago: float, *rows: Row) -> None:
    """Rows whose transaction took its times so long ago, and commits now."""
    insert(engine, rows)
    keys = {
        outcomes.c.decision_id: [row.decision_id for row in rows if isinstance(row, OutcomeRow)],
        observations.c.observation_id: [row.observation_id for row in rows if isinstance(row, ObservationRow)],
    }
    with engine.begin() as connection:
        for column, listed in keys.items():
            changed = sa.update(column.table).where(column.in_(listed))
            connection.execute(changed.values(written_at_s=database_now() - seconds_ago))


@pytest.fixture
def sqlite(tmp_path: Any) -> Iterator[Engine]:
    engine = open_engine(sqlite_url(tmp_path / "log.sqlite"))
    upgrade(engine)
    yield engine
    engine.dispose()


def test_an_answer_is_delivered_once_and_again_when_it_is_judged(engine: Engine) -> None:
    tail = follow(engine)
    assert tail.poll() == []
    insert(engine, answered("a"))
    [sample] = tail.poll()
    assert (sample.decision_id, sample.quality, sample.latency_s) == ("a", None, 1.0)
    assert sample.features is not None
    assert sample.features.grams.tolist() == FEATURES.grams.tolist(), "unjudged prompts have their text too"
    assert tail.poll() == []
    insert(engine, [judged("a", 0.25)])
    assert known(tail.poll()) == [("a", 0.25)]
    assert tail.poll() == []


def test_a_second_judgement_changes_the_label(engine: Engine) -> None:
    tail = follow(engine)
    insert(engine, [*answered("a"), judged("a", 0.0)])
    assert known(tail.poll()) == [("a", 0.0)]
    insert(engine, [judged("a", 1.0, number=2, source=ObservationSource.CHECK)])
    assert known(tail.poll()) == [("a", 0.5)]


def test_a_judgement_that_replaces_an_earlier_one_is_delivered(engine: Engine) -> None:
    tail = follow(engine)
    insert(engine, [*answered("a"), judged("a", 0.0)])
    assert known(tail.poll()) == [("a", 0.0)]
    insert(engine, [judged("a", 1.0, number=2)])
    assert known(tail.poll()) == [("a", 1.0)]
    assert tail.poll() == []


def test_a_judgement_that_comes_before_its_answer_waits_for_it(engine: Engine) -> None:
    tail = follow(engine)
    insert(engine, [judged("a", 0.75)])
    assert tail.poll() == []
    insert(engine, answered("a"))
    assert known(tail.poll()) == [("a", 0.75)]


@pytest.mark.parametrize("late_s", [0.001, 1.0, SETTLE_S - 2.0])
def test_a_row_that_becomes_visible_after_later_ones_is_not_missed(engine: Engine, late_s: float) -> None:
    tail = follow(engine)
    insert(engine, answered("later"))
    assert known(tail.poll()) == [("later", None)]
    written(engine, late_s, *answered("earlier"), judged("earlier", 1.0))
    assert known(tail.poll()) == [("earlier", 1.0)]
    assert tail.poll() == []


def test_a_position_that_was_stored_continues_without_a_gap_or_a_repetition(engine: Engine) -> None:
    before = follow(engine)
    insert(engine, [*answered("a"), judged("a", 0.5)])
    written(engine, 1000.0, *answered("old"))
    assert sorted(known(before.poll())) == [("a", 0.5), ("old", None)]
    stored = msgspec.json.encode(before.position)
    insert(engine, answered("b"))
    written(engine, 5.0, *answered("c"))
    after = follow(engine, msgspec.json.decode(stored, type=Position))
    assert known(after.poll()) == [("c", None), ("b", None)]
    assert after.poll() == []


def test_a_process_without_a_position_reads_back_and_continues(engine: Engine) -> None:
    written(engine, 1000.0, *answered("old"))
    insert(engine, [*answered("a"), judged("a", 0.5)])
    tail = follow(engine)
    assert sorted(known(tail.read_back(10))) == [("a", 0.5), ("old", None)]
    insert(engine, answered("b"))
    assert known(tail.poll()) == [("b", None)]


def test_what_teaches_nothing_is_passed_over_and_does_not_come_again(engine: Engine) -> None:
    insert(engine, [*answered("failed", ending=Ending.FAILED), *answered("other", variant="gone")])
    insert(engine, [*answered("cached", cache="exact"), *answered("good")])
    tail = follow(engine)
    assert known(tail.poll()) == [("good", None)]
    assert tail.poll() == []


def test_forced_answers_teach_and_held_ones_teach_no_quality(engine: Engine) -> None:
    held = [{"variant": "quantized", "propensity": 1.0, "held": "good_enough"}]
    insert(engine, [*answered("forced", forced=True), judged("forced", 1.0)])
    insert(engine, [*answered("held", attempts=held), judged("held", 1.0)])
    assert sorted(known(follow(engine).poll())) == [("forced", 1.0), ("held", None)]


def test_a_long_log_is_read_in_bounded_polls_in_the_order_of_writing(engine: Engine) -> None:
    names = [f"dec_{number:03}" for number in range(50)]
    for name in names:
        insert(engine, [*answered(name), judged(name, 1.0)])
    tail, polls = follow(engine), []
    while not polls or tail.behind:
        polls.append(tail.poll(limit=7))
    assert max(map(len, polls)) <= 7
    assert list(dict.fromkeys(sample.decision_id for poll in polls for sample in poll)) == names


def test_many_rows_at_once_wait_until_they_have_settled(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tails, "MAX_AHEAD", 4)
    tail = follow(engine)
    insert(engine, [row for number in range(10) for row in answered(f"a{number}")])
    first = tail.poll(limit=4)
    assert len(first) == 4
    assert tail.poll() == [], "no more are remembered"
    monkeypatch.setattr(tails, "SETTLE_S", -1.0)
    assert len({sample.decision_id for sample in (*first, *tail.poll())}) == 10


@settings(max_examples=20)
@given(data=st.data())
def test_whatever_the_order_of_commits_every_row_comes_once(data: st.DataObject) -> None:
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine)
    names = [f"d{number}" for number in range(5)]
    rows = [row for name in names for row in (tuple(answered(name)), (judged(name, 1.0),))]
    tail, seen = follow(engine), []
    for row in data.draw(st.permutations(rows)):
        written(engine, data.draw(st.floats(0.0, SETTLE_S - 5.0)), *row)
        if data.draw(st.booleans()):
            seen += tail.poll(limit=data.draw(st.integers(1, 5)))
            tail = follow(engine, tail.position)
    while True:
        seen += tail.poll(limit=3)
        if not tail.behind:
            break
    engine.dispose()
    latest = {sample.decision_id: sample.quality for sample in seen}
    assert latest == dict.fromkeys(names, 1.0)
    assert len(seen) <= 2 * len(names), "one delivery for each row at most"


async def test_two_processes_see_what_both_wrote(url: str) -> None:
    first, second = DecisionLog(url), DecisionLog(url)
    await first.start()
    await second.start()
    engine = open_engine(url)
    seen: list[Sample] = []
    follower = LogFollower(LogTail(engine, variants=["quantized"]), seen.extend)
    for row in answered("a"):
        first.record(row)
    await first.flush()
    second.record(judged("a", 0.25))
    for row in answered("b"):
        second.record(row)
    await second.flush()
    await follower.look()
    assert sorted(known(seen)) == [("a", 0.25), ("b", None)]
    first.record(judged("b", 1.0))
    await first.flush()
    await follower.look()
    assert known(seen)[2:] == [("b", 1.0)]
    for log in (first, second):
        await log.aclose()
    engine.dispose()


async def test_a_database_that_fails_is_logged_once_and_tried_again(
    sqlite: Engine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tail = follow(sqlite)
    seen: list[Sample] = []
    follower = LogFollower(tail, seen.extend)
    insert(sqlite, answered("a"))
    with monkeypatch.context() as patched:
        patched.setattr(tails, "samples_of", _gone)
        await follower.look()
        await follower.look()
    await follower.look()
    assert known(seen) == [("a", None)]
    assert [record.message.split(": ")[0] for record in caplog.records] == ["the log cannot be followed"] * 2


async def test_a_consumer_that_fails_ends_nothing(sqlite: Engine, caplog: pytest.LogCaptureFixture) -> None:
    def deliver(samples: Sequence[Sample]) -> None:
        raise ValueError(len(samples))

    follower = LogFollower(follow(sqlite), deliver, poll_s=0.0)
    insert(sqlite, answered("a"))
    await follower.start()
    await follower.aclose()
    assert "1 samples" in caplog.text
    assert known(follow(sqlite, follower.position).poll()) == []


def test_of_a_long_log_only_the_latest_seconds_are_remembered(sqlite: Engine) -> None:
    count = 100_000
    with sqlite.begin() as connection:
        connection.execute(sa.text(_MANY), {"count": count})
    tail = LogTail(sqlite, variants=["other"])
    tracemalloc.start()
    while True:
        tail.poll()
        if not tail.behind:
            break
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000
    assert len(tail.position.outcomes_ahead) < 200
    assert len(msgspec.json.encode(tail.position)) < 20_000


_MANY = """
INSERT INTO outcomes (decision_id, ended_at_s, ending, variant, attempts, cache, queue_s, latency_s, prompt_tokens,
  completion_tokens, cost_usd, stages, streamed, written_at_s)
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count)
SELECT printf('dec_%06d', i), 0, 'done', 'quantized', '[]', 'miss', 0, 0, 0, 0, 0, '{}', 0,
  (julianday('now') - 2440587.5) * 86400.0 - (:count - i) * 0.2 FROM n
"""


def _gone(*_: object, **__: object) -> dict[str, Sample]:
    raise sa.exc.OperationalError("SELECT", {}, Exception("gone"))
