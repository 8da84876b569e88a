"""The database is locked, full or killed under the gateway: requests go on, and the log catches up."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import openai
import pytest

from tests.chaos_tools import api_process, ask, ask_together, background, config_over, until_true
from tests.providers import Answer, ScriptedProvider, chat_events
from tests.serving import Gateway, serving

pytestmark = pytest.mark.timeout(90)


def outcomes(gateway: Gateway) -> list[tuple[str, str]]:
    """Decision and ending of everything that the log holds."""
    with closing(sqlite3.connect(f"file:{gateway.var / 'trilemma.db'}?mode=ro", uri=True)) as database:
        return database.execute("SELECT decision_id, ending FROM outcomes").fetchall()


def test_a_locked_database_delays_the_log_and_no_request(gateway: Gateway) -> None:
    with closing(sqlite3.connect(gateway.var / "trilemma.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert ask_together(gateway, 8) == ["fine"] * 8
        other.execute("ROLLBACK")
    until_true(lambda: len(outcomes(gateway)) == 8, within_s=20)


@contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    """A file system of its own with room for little."""
    directory.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(directory)], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("a small disk needs root and the right to mount")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


def fill(path: Path) -> None:
    """Write until nothing more goes in."""
    with path.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(b"\0" * 4096)
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 - the loop has no other end


def test_a_full_disk_delays_the_log_and_no_request(provider: ScriptedProvider, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        database = f"store: {{database_url: 'sqlite:///{disk / 'trilemma.db'}', flush_interval_s: 0.1}}"
        with serving(tmp_path / "none", tmp_path / "gateway", config=config_over(provider, more=database)) as gateway:
            assert ask(gateway) == "fine"
            filler = disk / "filler"
            fill(filler)
            for _ in range(4):
                assert ask_together(gateway, 16) == ["fine"] * 16
            filler.unlink()

            def written() -> int:
                with closing(sqlite3.connect(disk / "trilemma.db")) as other:
                    return int(other.execute("SELECT count(*) FROM outcomes").fetchone()[0])

            until_true(lambda: written() == 65, within_s=30)


def test_an_api_process_killed_at_work_leaves_a_consistent_log_and_is_back(tmp_path: Path) -> None:
    endless = Answer(events=chat_events(*["word "] * 2000, finish=None), every_s=0.01)
    with background(endless) as provider:
        config = config_over(provider, more="store: {flush_interval_s: 0.1}")
        with serving(tmp_path / "none", tmp_path / "gateway", config=config) as gateway:
            with gateway.client(timeout=30) as client:
                stream = client.chat.completions.create(
                    model="auto", messages=[{"role": "user", "content": "hello"}], stream=True
                )
                for _ in range(50):
                    next(stream)
                api_process(gateway).kill()
                with pytest.raises((openai.APIConnectionError, httpx2.RemoteProtocolError)):
                    list(stream)
            until_true(lambda: gateway.process.poll() is None and _answers(gateway), within_s=20)
            with closing(sqlite3.connect(gateway.var / "trilemma.db")) as database:
                decided = {row[0] for row in database.execute("SELECT decision_id FROM decisions")}
            assert len(decided) == 1
            assert outcomes(gateway) == [], "a decision without an outcome was in flight"


def _answers(gateway: Gateway) -> bool:
    try:
        return gateway.get("/livez") == {"status": "ok"}
    except OSError:
        return False
