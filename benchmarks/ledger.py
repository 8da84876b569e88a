"""What keeping money costs a request: against a grant in memory, and against the baseline of one transaction each.

The baseline writes every hold and every settlement to the same database, in the way a ledger without grants must.
Both run in one process, in turns. Writes `benchmarks/results/ledger.json`.

    .venv/bin/python benchmarks/ledger.py --rounds 5
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from gateway.clock import SYSTEM_CLOCK
from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import ledger_grants, open_engine
from gateway.ledger.account import Claim
from gateway.ledger.book import exchange
from gateway.ledger.ledger import Ledger, open_ledger
from gateway.ledger.period import Period
from gateway.tenants.types import Spend, Tenant

TENANT = Tenant(id="bench", budget=Spend(usd=1e6, period_s=1e9))
HELD_USD, SPENT_USD = 0.001, 0.0004
IN_MEMORY, TRANSACTIONS, DRAWS = 20_000, 200, 100


async def main(rounds: int) -> dict[str, Any]:
    """Seconds per call of each way, in turns, so that a machine whose speed drifts slows all of them."""
    with tempfile.TemporaryDirectory() as directory:
        engine = open_engine(f"sqlite:///{directory}/bench.db")
        upgrade(engine)
        async with open_ledger(engine, clock=SYSTEM_CLOCK) as ledger:
            (await ledger.hold(TENANT, HELD_USD)).settle(SPENT_USD)
            taken: dict[str, list[float]] = {"in_memory": [], "transaction_each": [], "draw": []}
            for _ in range(rounds):
                taken["in_memory"].append(await in_memory(ledger))
                taken["transaction_each"].append(await asyncio.to_thread(transaction_each, engine))
                taken["draw"].append(await asyncio.to_thread(draw, engine))
        engine.dispose()
    median_s = {name: statistics.median(times) for name, times in taken.items()}
    return {
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "database": "sqlite"},
        "rounds": rounds,
        "hold_and_settle_s": median_s["in_memory"],
        "transaction_each_s": median_s["transaction_each"],
        "draw_s": median_s["draw"],
        "ratio": median_s["transaction_each"] / median_s["in_memory"],
        "ratios": [b / a for a, b in zip(taken["in_memory"], taken["transaction_each"], strict=True)],
    }


async def in_memory(ledger: Ledger) -> float:
    """A hold and its settlement."""
    began_s = time.perf_counter()
    for _ in range(IN_MEMORY):
        (await ledger.hold(TENANT, HELD_USD)).settle(SPENT_USD)
    return (time.perf_counter() - began_s) / IN_MEMORY


def transaction_each(engine: Engine) -> float:
    """The same, each written down before the request goes on."""
    held = (
        sa.update(ledger_grants)
        .where(ledger_grants.c.tenant == TENANT.id)
        .values(granted_nusd=ledger_grants.c.granted_nusd + 1_000_000)
    )
    settled = (
        sa.update(ledger_grants)
        .where(ledger_grants.c.tenant == TENANT.id)
        .values(granted_nusd=ledger_grants.c.granted_nusd - 1_000_000, renewed_at_s=ledger_grants.c.renewed_at_s)
    )
    began_s = time.perf_counter()
    for _ in range(TRANSACTIONS):
        for statement in (held, settled):
            with engine.begin() as connection:
                connection.execute(statement)
    return (time.perf_counter() - began_s) / TRANSACTIONS


def draw(engine: Engine) -> float:
    """One exchange with the database, as the background does it: one transaction for twenty tenants."""
    claims = [
        Claim(
            period=Period(tenant=f"t{n}", period_s=60.0, number=1), budget=10**9, base=0, spent=0, room=0, spare=10**7
        )
        for n in range(20)
    ]
    began_s = time.perf_counter()
    for _ in range(DRAWS):
        exchange(engine, claims, process="bench", now_s=0.0)
    return (time.perf_counter() - began_s) / DRAWS


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "ledger.json")
    arguments = parser.parse_args()
    found = asyncio.run(main(arguments.rounds))
    arguments.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))
