"""A program that is run again and again: in its time, at the lowest priority, and never to the harm of the rest."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from pathlib import Path

import pytest

from backends.supervisor.periodic import PeriodicPlan, run_periodically
from tests.supervising import Scene, process_is_gone, until_true

pytestmark = pytest.mark.timeout(60)  # Real processes, on machines that are busy.


def plan(program: str, *arguments: str, interval_s: float = 0.01) -> PeriodicPlan:
    return PeriodicPlan(name="trainer", argv=(sys.executable, "-c", program, *arguments), interval_s=interval_s)


@contextlib.asynccontextmanager
async def running(periodic: PeriodicPlan):  # noqa: ANN201
    task = asyncio.create_task(run_periodically(periodic))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


NOTE = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()} {os.nice(0)}\\n'); "


def runs(log: Path) -> list[list[int]]:
    return [[int(word) for word in line.split()] for line in log.read_text().splitlines()] if log.exists() else []


async def test_it_runs_again_and_again_at_the_lowest_priority(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with running(plan(NOTE, str(log))):
        await until_true(lambda: len(runs(log)) >= 3)
    assert {niceness for _, niceness in runs(log)} == {19}


async def test_it_waits_an_interval_before_the_first_run(tmp_path: Path) -> None:
    async with running(plan(NOTE, str(tmp_path / "log"), interval_s=60.0)):
        await asyncio.sleep(0.3)
    assert runs(tmp_path / "log") == []


async def test_a_run_that_fails_is_told_and_the_next_one_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "log"
    with caplog.at_level(logging.WARNING):
        async with running(plan(NOTE + "sys.exit('no disk')", str(log))):
            await until_true(lambda: len(runs(log)) >= 2)
    assert "no disk" in caplog.text


async def test_a_program_that_is_not_there_is_told(caplog: pytest.LogCaptureFixture) -> None:
    missing = PeriodicPlan(name="trainer", argv=("/nowhere/trainer",), interval_s=0.01)
    with caplog.at_level(logging.WARNING):
        async with running(missing) as task:
            await until_true(lambda: "could not be run" in caplog.text)
            assert not task.done()


async def test_the_supervisor_ends_a_run_in_progress_when_it_stops(tmp_path: Path) -> None:
    scene, log = Scene(tmp_path), tmp_path / "log"
    async with scene.supervised(periodic=[plan(NOTE + "time.sleep(60)", str(log))]):
        await until_true(lambda: runs(log) != [])
        [[pid, _]] = runs(log)
        assert os.getpgid(pid) == pid
    assert process_is_gone(pid)
