"""What is recorded is written once, whatever happens, and can be read at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.exc import OperationalError

from gateway.decisions import log as log_module
from gateway.decisions.log import DecisionLog
from gateway.decisions.read import export
from gateway.decisions.schema import open_engine
from gateway.decisions.types import DecisionRow, Ending, ObservationSource, Row
from gateway.decisions.write import insert
from tests.decision_rows import decision, observation, outcome


@pytest.fixture
async def log(url: str) -> AsyncIterator[DecisionLog]:
    """A log that writes only when told, or when a batch is full."""
    log = DecisionLog(url, flush_interval_s=60.0)
    await log.start()
    yield log
    await log.aclose()


@pytest.mark.parametrize("ending", Ending)
async def test_every_ending_is_read_back_as_it_was_recorded(log: DecisionLog, ending: Ending) -> None:
    rows = {
        Ending.DONE: outcome(),
        Ending.STOPPED: outcome(ending=Ending.STOPPED, finish_reason=None, error_type="shutdown"),
        Ending.FAILED: outcome(
            ending=Ending.FAILED,
            variant=None,
            attempts=[],
            ttft_s=None,
            tpot_s=None,
            error_type="overloaded",
            stages={},
        ),
        Ending.CANCELLED: outcome(ending=Ending.CANCELLED, tpot_s=None, completion_tokens=0, finish_reason=None),
    }
    made = decision(features={"digits": 3.0}, features_hash="f1", needs=["tools"], trace_id="a" * 32, hint=None)
    scores = [
        observation(number=n, source=s, comment="naïve ☃ 'quoted'") for n, s in enumerate(ObservationSource, start=1)
    ]
    for row in (made, rows[ending], *scores):
        log.record(row)
    record = await log.find("dec_1")
    assert record is not None
    assert (record.decision, record.outcome, record.observations) == (made, rows[ending], scores)


async def test_a_decision_in_flight_has_no_outcome(log: DecisionLog) -> None:
    log.record(decision())
    record = await log.find("dec_1")
    assert record is not None
    assert (record.outcome, record.observations) == (None, [])


async def test_a_choice_of_nobody_is_kept(log: DecisionLog) -> None:
    log.record(decision(choice=None, violated=None, propensities={}))
    record = await log.find("dec_1")
    assert record is not None
    assert record.decision.choice is None


async def test_rows_may_be_written_again_without_effect(log: DecisionLog, url: str) -> None:
    rows: list[Row] = [decision(), outcome(), observation()]
    for row in rows:
        log.record(row)
    await log.flush()
    engine = open_engine(url)
    assert insert(engine, [*rows, decision(choice="full"), decision("dec_2")]) == 0
    engine.dispose()
    records = list(export(url))
    assert [r.decision for r in records] == [decision(), decision("dec_2")]


def latest(url: str) -> list[tuple[str, str, float]]:
    [record] = export(url)
    return sorted((o.source, o.name, o.score) for o in record.observations)


@pytest.mark.parametrize("flushed", [False, True])
async def test_a_judgement_replaces_the_earlier_one_of_its_source_and_subject(
    log: DecisionLog, url: str, flushed: bool
) -> None:
    log.record(decision())
    check = ObservationSource.CHECK
    for number, changes in enumerate(
        [
            {"score": 0.1},
            {"score": 0.9, "name": "tone"},  # Feedback counts once, whatever it is called.
            {"source": check, "name": "regex", "score": 0.2},
            {"source": check, "name": "city", "score": 0.3},
            {"source": check, "name": "regex", "score": 0.8},
            {"source": ObservationSource.AGREEMENT, "name": "full", "score": 0.4},
        ]
    ):
        log.record(observation(number=number, **changes))  # type: ignore[arg-type]
        if flushed:
            await log.flush()
    assert log.stats.backlog in {0, 5}
    await log.flush()
    assert latest(url) == [
        ("agreement", "full", 0.4),
        ("check", "city", 0.3),
        ("check", "regex", 0.8),
        ("feedback", "tone", 0.9),
    ]


async def test_the_latest_judgement_stays_whatever_is_written_last(log: DecisionLog, url: str) -> None:
    log.record(decision())
    await log.flush()
    engine = open_engine(url)
    for number in (2, 1, 3, 2):
        assert insert(engine, [observation(number=number, score=number / 4)]) == 0
    engine.dispose()
    assert latest(url) == [("feedback", "score", 0.75)]


async def test_repeating_a_judgement_pushes_no_other_row_out(url: str) -> None:
    log = DecisionLog(url, flush_interval_s=60.0, max_backlog=10)
    log.record(decision())
    for number in range(1000):
        log.record(observation(number=number, score=number / 1000))
    assert (log.stats.backlog, log.stats.dropped) == (2, 0)
    await log.start()
    await log.aclose()
    assert latest(url) == [("feedback", "score", 0.999)]


async def test_a_judgement_of_a_refused_batch_does_not_come_back_over_a_later_one(url: str) -> None:
    log = DecisionLog(url, flush_interval_s=60.0)
    log.record(decision())
    log.record(observation(number=1, score=0.1))
    with pytest.raises(Exception, match="decisions"):
        await log.flush()
    log.record(observation(number=2, score=0.2))
    await log.start()
    await log.aclose()
    assert latest(url) == [("feedback", "score", 0.2)]


async def test_buffered_written_and_unknown_decisions_are_told_apart(log: DecisionLog) -> None:
    log.record(decision("written"))
    await log.flush()
    log.record(decision("buffered"))
    log.record(outcome("no_decision"))
    assert await log.tenant_of("written")
    assert await log.tenant_of("buffered")
    assert not await log.tenant_of("no_decision")
    assert log.stats.backlog == 2, "asking writes nothing"


async def test_a_full_batch_is_written_without_waiting_for_the_interval(log: DecisionLog) -> None:
    for number in range(log_module.MAX_BATCH_ROWS):
        log.record(decision(f"dec_{number}"))
    async with asyncio.timeout(10):
        while log.stats.written < log_module.MAX_BATCH_ROWS:
            await asyncio.sleep(0.01)


async def test_rows_are_written_within_the_interval(url: str) -> None:
    log = DecisionLog(url, flush_interval_s=0.05)
    await log.start()
    log.record(decision())
    async with asyncio.timeout(10):
        while log.stats.written < 1:
            await asyncio.sleep(0.01)
    await log.aclose()


async def test_closing_writes_what_is_left(url: str) -> None:
    log = DecisionLog(url, flush_interval_s=60.0)
    await log.start()
    for number in range(1234):
        log.record(decision(f"dec_{number}", created_at_s=float(number)))
    await log.aclose()
    assert [r.decision.decision_id for r in export(url)] == [f"dec_{n}" for n in range(1234)]


async def test_a_full_buffer_drops_the_oldest_and_counts_them(url: str) -> None:
    log = DecisionLog(url, flush_interval_s=60.0, max_backlog=10)
    for number in range(25):
        log.record(decision(f"dec_{number}", created_at_s=float(number)))
    assert (log.stats.backlog, log.stats.dropped) == (10, 15)
    await log.start()
    await log.aclose()
    assert [r.decision.decision_id for r in export(url)] == [f"dec_{n}" for n in range(15, 25)]
    assert log.stats.written == 10


@pytest.mark.parametrize(
    "poison",
    [
        decision("bad", max_completion_tokens=2**70),
        decision("bad", candidates=[{"variant": object()}]),
        decision("bad", route=None),
        observation("bad", comment="\ud800"),
    ],
)
async def test_a_row_no_database_can_take_holds_up_no_other(log: DecisionLog, poison: Row) -> None:
    log.record(decision("before"))
    log.record(poison)
    log.record(decision("after"))
    await log.flush()
    stats = log.stats
    assert (stats.written, stats.refused, stats.failures, stats.backlog) == (2, 1, 0, 0)
    assert await log.tenant_of("before")
    assert await log.tenant_of("after")
    assert not await log.tenant_of("bad")


async def test_recording_neither_waits_nor_fails_while_there_is_no_database(url: str) -> None:
    log = DecisionLog(url, flush_interval_s=60.0)
    log.record(decision())  # the schema does not exist yet
    with pytest.raises(Exception, match="decisions"):
        await log.flush()
    assert log.stats.backlog == 1, "nothing is lost by trying"
    await log.start()
    await log.aclose()
    assert log.stats.written == 1


async def test_nothing_of_a_refused_batch_is_written(log: DecisionLog, url: str) -> None:
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE outcomes RENAME TO away")
    rows = [decision(), outcome()]
    with pytest.raises(OperationalError if engine.dialect.name == "sqlite" else Exception):
        insert(engine, rows)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO outcomes")
    engine.dispose()
    assert list(export(url)) == []


def test_a_row_holds_no_text_of_the_request() -> None:
    assert not {"prompt", "messages", "input", "answer", "text"} & set(DecisionRow.__struct_fields__)
