"""Processes that are killed while they spend: what they spent is counted, and their death costs little."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.ledger.account import SPARE_SHARE
from tests.chaos_tools import until_true
from tests.ledger_tools import HOLDS_USD, SPENDERS, SPENDS_USD, engine_at, granted_nusd, ledgers, read, tenant
from tests.serving import ROOT

BUDGET_USD = 6.0
PROCESSES = 3


@contextmanager
def spending(url: str, records: list[Path]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes at work, once each has spent something; they are to be killed."""
    command = [sys.executable, "-m", "tests.ledger_tools", url]
    running = [subprocess.Popen([*command, record, str(BUDGET_USD)], cwd=ROOT) for record in records]
    try:
        until_true(lambda: all(r.exists() and r.stat().st_size for r in records), within_s=20)
        yield running
    finally:
        for process in running:
            process.kill()
            assert process.wait() == -signal.SIGKILL


@pytest.mark.timeout(60)
async def test_killed_processes_never_hide_what_they_spent_and_cost_at_most_their_grants(
    url: str, tmp_path: Path
) -> None:
    engine_at(url).dispose()
    rng, killed, mine = random.Random(9), 0, tenant(usd=BUDGET_USD)
    for round_ in range(2):
        records = [tmp_path / f"{round_}-{number}" for number in range(PROCESSES)]
        with spending(url, records) as running:
            for process in running:
                time.sleep(rng.random() * 0.2)
                process.send_signal(signal.SIGKILL)
        killed += PROCESSES
        spent_usd = SPENDS_USD * sum(record.stat().st_size for record in tmp_path.glob("[0-9]-*"))
        granted_usd = granted_nusd(url) / 1e9
        assert spent_usd <= granted_usd <= BUDGET_USD
        assert granted_usd - spent_usd <= killed * (BUDGET_USD / SPARE_SHARE + SPENDERS * HOLDS_USD)
    later_s = time.time() + 120
    found = read(url, mine, now_s=later_s)
    assert found.spent_usd <= spent_usd + 1e-9 <= found.spent_usd + found.lost_usd + 2e-9
    assert found.held_usd == 0.0
    async with ledgers(url) as [ledger]:
        assert ledger.available_usd(mine) == pytest.approx(found.left_usd)
