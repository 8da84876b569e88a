"""Exports are complete, ordered and small in memory, whatever happens meanwhile."""

from __future__ import annotations

import sqlite3
import tracemalloc
from pathlib import Path

import pytest

from gateway.decisions import read
from gateway.decisions.migrate import upgrade
from gateway.decisions.read import export, find
from gateway.decisions.schema import open_engine
from gateway.decisions.types import ObservationSource, Row
from gateway.decisions.write import insert
from tests.decision_rows import decision, observation, outcome, sqlite_url


def fill(url: str, rows: list[Row]) -> None:
    engine = open_engine(url)
    upgrade(engine)
    assert insert(engine, rows) == 0
    engine.dispose()


def made(number: int, *, at_s: float | None = None) -> list[Row]:
    name = f"dec_{number:05}"
    at_s = float(number) if at_s is None else at_s
    return [
        decision(name, created_at_s=at_s),
        outcome(name),
        observation(name, number=2, source=ObservationSource.CHECK),
        observation(name, number=1),
    ]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "PAGE_ROWS", 10)


def test_records_come_oldest_first_each_with_its_outcome_and_observations(url: str) -> None:
    fill(url, [*made(2), *made(1), decision("dec_00003", created_at_s=3.0)])
    records = list(export(url))
    assert [r.decision.decision_id for r in records] == ["dec_00001", "dec_00002", "dec_00003"]
    assert records[0].outcome == outcome("dec_00001")
    assert [o.observation_id for o in records[0].observations] == ["obs_dec_00001_1", "obs_dec_00001_2"]
    assert (records[2].outcome, records[2].observations) == (None, [])


def test_a_period_includes_its_start_and_leaves_out_its_end(url: str) -> None:
    fill(url, [row for n in range(6) for row in made(n)])
    assert [r.decision.created_at_s for r in export(url, since_s=2.0, until_s=4.0)] == [2.0, 3.0]
    assert [r.decision.created_at_s for r in export(url, since_s=4.0)] == [4.0, 5.0]
    assert [r.decision.created_at_s for r in export(url, until_s=1.0)] == [0.0]


@pytest.mark.usefixtures("small_pages")
def test_decisions_of_one_moment_are_neither_lost_nor_repeated_between_pages(url: str) -> None:
    fill(url, [row for n in range(35) for row in made(n, at_s=1.0 if n < 25 else 2.0)])
    assert [r.decision.decision_id for r in export(url)] == [f"dec_{n:05}" for n in range(35)]


@pytest.mark.usefixtures("small_pages")
def test_rows_written_during_an_export_disturb_it_not(url: str) -> None:
    fill(url, [row for n in range(0, 60, 2) for row in made(n)])
    engine, seen = open_engine(url), []
    for count, record in enumerate(export(url)):
        seen.append(record.decision.decision_id)
        insert(engine, [*made(2 * count + 1), *made(1000 + count)][: 8 if count < 30 else 0])
    engine.dispose()
    assert len(seen) == len(set(seen))
    assert seen == sorted(seen)
    assert {f"dec_{n:05}" for n in range(0, 60, 2)} <= set(seen)
    assert {f"dec_{n:05}" for n in range(1000, 1030)} <= set(seen), "what came later is read later"


@pytest.mark.usefixtures("small_pages")
def test_a_slow_reader_holds_up_no_writer(tmp_path: Path) -> None:
    file = tmp_path / "log.sqlite"
    fill(sqlite_url(file), [row for n in range(30) for row in made(n)])
    records = export(sqlite_url(file))
    next(records)
    with sqlite3.connect(file, isolation_level=None, timeout=0) as other:
        busy, _, _ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    other.close()
    assert busy == 0
    assert len(list(records)) == 29


def test_an_export_takes_the_same_memory_for_any_number_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "PAGE_ROWS", 50)

    def peak_bytes(count: int) -> int:
        url = sqlite_url(tmp_path / f"{count}.sqlite")
        fill(url, [row for n in range(count) for row in made(n)])
        tracemalloc.start()
        try:
            assert sum(1 for _ in export(url)) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak_bytes(50)  # what is loaded once
    assert peak_bytes(1500) < 1.3 * peak_bytes(150)


def test_an_abandoned_export_lets_go_of_the_database(tmp_path: Path) -> None:
    file = tmp_path / "log.sqlite"
    fill(sqlite_url(file), made(1) + made(2))
    records = export(sqlite_url(file))
    next(records)
    records.close()  # type: ignore[attr-defined]
    assert not file.with_name("log.sqlite-wal").exists(), "the last connection takes the write-ahead log with it"


def test_an_unknown_decision_is_not_found(url: str) -> None:
    fill(url, made(1))
    engine = open_engine(url)
    assert find(engine, "dec_00002") is None
    engine.dispose()
