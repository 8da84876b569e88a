"""Ledgers over one database, and a process that spends from one until it is killed."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from gateway.clock import SYSTEM_CLOCK, Clock
from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import ledger_grants, open_engine
from gateway.errors import QuotaError
from gateway.ledger.book import Spending, spending
from gateway.ledger.ledger import Ledger, open_ledger
from gateway.tenants.types import Spend, Tenant

__all__ = ("HOLDS_USD", "SPENDERS", "SPENDS_USD", "engine_at", "granted_nusd", "ledgers", "read", "tenant")

SPENDERS, HOLDS_USD, SPENDS_USD = 4, 0.001, 0.0004
"""Of a spending process: calls at once, and what each holds and spends."""


def tenant(name: str = "law", *, usd: float = 1.0, **budget: object) -> Tenant:
    """A tenant with a budget, for a period that does not end during a test unless said."""
    return Tenant(id=name, budget=Spend(**({"usd": usd, "period_s": 1e8} | budget)))  # type: ignore[arg-type]


def engine_at(url: str) -> Engine:
    """A database with today's tables."""
    engine = open_engine(url)
    upgrade(engine)
    return engine


@asynccontextmanager
async def ledgers(
    url: str, *, count: int = 1, clock: Clock = SYSTEM_CLOCK, interval_s: float = 0.02
) -> AsyncIterator[list[Ledger]]:
    """The ledgers of so many processes, each with its own connections."""
    engines = [await asyncio.to_thread(engine_at, url) for _ in range(count)]
    opened = [open_ledger(engine, clock=clock, interval_s=interval_s) for engine in engines]
    try:
        yield [await ledger.__aenter__() for ledger in opened]
    finally:
        for ledger in opened:
            await ledger.__aexit__(None, None, None)
        for engine in engines:
            engine.dispose()


def read(url: str, of: Tenant, *, now_s: float | None = None) -> Spending:
    """What the database says of a tenant's budget."""
    engine = open_engine(url)
    with engine.connect() as connection:
        found = spending(connection, of, now_s=time.time() if now_s is None else now_s)
    engine.dispose()
    assert found is not None
    return found


def granted_nusd(url: str, of: str = "law") -> int:
    """What all processes together were granted."""
    engine = open_engine(url)
    query = sa.select(sa.func.sum(ledger_grants.c.granted_nusd)).where(ledger_grants.c.tenant == of)
    with engine.connect() as connection:
        total = int(connection.scalar(query) or 0)
    engine.dispose()
    return total


async def spend_until_killed(url: str, record: Path, *, usd: float) -> None:
    """Calls one after the other, several at once; each is on record before it is settled."""
    file = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    rng = random.Random(os.getpid())

    async def call(ledger: Ledger) -> None:
        hold = await ledger.hold(tenant(usd=usd), HOLDS_USD)
        await asyncio.sleep(rng.random() * 0.004)
        os.write(file, b"s")
        hold.settle(SPENDS_USD)

    async def calls(ledger: Ledger) -> None:
        while True:
            try:
                await call(ledger)
            except QuotaError:
                await asyncio.sleep(0.02)

    async with ledgers(url, interval_s=0.05) as [ledger]:
        await asyncio.gather(*(calls(ledger) for _ in range(SPENDERS)))


if __name__ == "__main__":
    asyncio.run(spend_until_killed(sys.argv[1], Path(sys.argv[2]), usd=float(sys.argv[3])))
