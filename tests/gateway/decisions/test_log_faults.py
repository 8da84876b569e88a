"""The log under a locked database, a full disk and a killed process."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from gateway.decisions import schema
from gateway.decisions.log import DecisionLog
from gateway.decisions.read import export
from tests.decision_rows import decision, sqlite_url

WRITER = [sys.executable, "-m", "tests.decision_rows"]
ROOT = Path(__file__).parents[3]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "log.sqlite"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite gives up on a lock at once instead of after seconds."""
    monkeypatch.setattr(schema, "BUSY_TIMEOUT_MS", 20)


def exported(file: Path) -> list[str]:
    return [record.decision.decision_id for record in export(sqlite_url(file))]


async def until(done: Any) -> None:
    async with asyncio.timeout(15):
        while not done():
            await asyncio.sleep(0.005)


@pytest.mark.usefixtures("impatient")
async def test_a_locked_database_is_retried_in_order_and_nothing_is_lost(file: Path) -> None:
    log = DecisionLog(sqlite_url(file), flush_interval_s=0.02)
    await log.start()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for number in range(700):
        log.record(decision(f"dec_{number}", created_at_s=float(number)))
    await until(lambda: log.stats.failures >= 2)
    assert (log.stats.backlog, log.stats.written) == (700, 0)
    assert await log.tenant_of("dec_0"), "what waits is known"
    other.execute("ROLLBACK")
    other.close()
    await until(lambda: log.stats.written == 700)
    await log.aclose()
    assert log.stats.dropped == 0
    assert exported(file) == [f"dec_{n}" for n in range(700)]


@pytest.mark.usefixtures("impatient")
async def test_a_batch_put_back_keeps_to_the_bound(file: Path) -> None:
    log = DecisionLog(sqlite_url(file), flush_interval_s=60.0, max_backlog=10)
    await log.start()
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        for number in range(10):
            log.record(decision(f"dec_{number}", created_at_s=float(number)))
        flushing = asyncio.create_task(log.flush())
        while not log._batch:
            await asyncio.sleep(0)
        for number in range(10, 14):
            log.record(decision(f"dec_{number}", created_at_s=float(number)))
        with pytest.raises(OperationalError, match="locked"):
            await flushing
        assert (log.stats.backlog, log.stats.dropped) == (10, 4)
        other.execute("ROLLBACK")
    other.close()
    await log.aclose()
    assert exported(file) == [f"dec_{n}" for n in range(4, 14)]


@pytest.mark.usefixtures("impatient")
async def test_a_decision_is_known_while_its_writing_fails(file: Path) -> None:
    log = DecisionLog(sqlite_url(file), flush_interval_s=60.0)
    await log.start()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    log.record(decision())
    flushing = asyncio.create_task(log.flush())
    while not log._batch:
        await asyncio.sleep(0)
    assert await log.tenant_of("dec_1")
    with pytest.raises(OperationalError, match="locked"):
        await flushing
    other.close()
    await log.aclose()


@pytest.mark.usefixtures("impatient")
async def test_closing_gives_up_on_a_database_that_stays_locked(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = DecisionLog(sqlite_url(file), flush_interval_s=60.0)
    await log.start()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    log.record(decision())
    async with asyncio.timeout(5):
        await log.aclose()
    other.close()
    assert "1 rows of the decision log are lost" in caplog.text


async def test_a_full_disk_is_waited_out(file: Path) -> None:
    """SQLite's own limit on pages stands in for the disk: the error is the same."""
    log = DecisionLog(sqlite_url(file), flush_interval_s=0.02)
    await log.start()
    await log._run(log._engine.dispose)
    pages = {"limit": 30}
    sa.event.listen(log._engine, "checkout", lambda c, *_: c.execute(f"PRAGMA max_page_count = {pages['limit']}"))
    for number in range(300):
        log.record(decision(f"dec_{number}", created_at_s=float(number)))
    await until(lambda: log.stats.failures >= 1)
    assert log.stats.backlog == 300
    pages["limit"] = 1_000_000
    await until(lambda: log.stats.written == 300)
    await log.aclose()
    assert exported(file) == [f"dec_{n}" for n in range(300)]


async def test_the_loop_is_not_held_up_while_the_database_is(file: Path) -> None:
    log = DecisionLog(sqlite_url(file), flush_interval_s=0.01)
    await log.start()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    slowest_s = 0.0
    for number in range(300):
        began_s = time.perf_counter()
        log.record(decision(f"dec_{number}"))
        slowest_s = max(slowest_s, time.perf_counter() - began_s)
        await asyncio.sleep(0.001)
    other.execute("ROLLBACK")
    other.close()
    await log.aclose()
    assert slowest_s < 0.25, "recording waits for nothing; the bound only allows for a busy machine"
    assert log.stats.written == 300


@pytest.mark.parametrize("lifetime_s", [0.3, 1.5])
def test_a_killed_process_leaves_a_sound_file_and_loses_only_the_last_interval(file: Path, lifetime_s: float) -> None:
    interval_s, slack_s = 0.2, 1.0
    process = subprocess.Popen(
        [*WRITER, "forever", sqlite_url(file), str(interval_s)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process, process.stdout as said:
        lines = [said.readline()]
        end_s = time.monotonic() + lifetime_s
        while time.monotonic() < end_s:
            lines.append(said.readline())
        process.send_signal(signal.SIGKILL)
        lines += [line for line in said if line.endswith("\n")]
    recorded = [line.split() for line in lines]
    written, last_s = int(recorded[-1][2]), float(recorded[-1][1])

    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    kept = exported(file)
    assert kept == [f"dec_{n}" for n in range(len(kept))], "what is lost is the end, never the middle"
    assert len(kept) >= written
    lost = [at for _, at, _ in recorded[len(kept) :]]
    assert all(last_s - float(at) < interval_s + slack_s for at in lost)


def test_processes_may_create_and_write_one_database_at_once(tmp_path: Path) -> None:
    count, names = 200, ("a", "b", "c", "d")
    files = [tmp_path / f"{n}.sqlite" for n in range(4)]
    urls = [sqlite_url(file) for file in files]
    writers = [
        subprocess.Popen([*WRITER, "some", name, str(count), *urls], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for name in names
    ]
    for writer in writers:
        _, errors = writer.communicate()
        assert (writer.returncode, errors) == (0, "")
    for file in files:
        assert sorted(exported(file)) == sorted(["shared", *(f"{w}_{n}" for w in names for n in range(count))])
