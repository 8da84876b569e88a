"""The log holds what is young enough, whole, and nothing else, on either database."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.engine import Engine

from gateway.decisions import retention
from gateway.decisions.read import export
from gateway.decisions.retention import keep_young, prune
from gateway.decisions.types import Row
from gateway.decisions.write import insert
from tests.decision_rows import decision, observation, outcome
from tests.gateways import until


def made(number: int) -> list[Row]:
    name = f"dec_{number:03}"
    return [decision(name, created_at_s=float(number)), outcome(name), observation(name, number=1)]


def left(url: str) -> list[str]:
    records = list(export(url))
    assert all(record.outcome is not None and len(record.observations) == 1 for record in records)
    return [record.decision.decision_id for record in records]


@pytest.mark.parametrize("number", [1, 10, 11, 25])
def test_what_is_too_old_goes_whole_and_the_rest_stays_whole(
    engine: Engine, url: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(retention, "BATCH", 10)
    assert insert(engine, [row for n in range(30) for row in made(n)]) == 0
    assert prune(engine, before_s=float(number)) == number
    assert left(url) == [f"dec_{n:03}" for n in range(number, 30)]
    assert prune(engine, before_s=float(number)) == 0


async def test_it_goes_on_after_a_database_that_refused_and_removes_nothing_where_no_age_is_set(
    engine: Engine, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "EVERY_S", 0.01)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE observations RENAME TO elsewhere")
    await keep_young(engine, max_age_s=None, wall_s=lambda: 110.0)
    keeping = asyncio.create_task(keep_young(engine, max_age_s=90.0, wall_s=lambda: 110.0))
    await asyncio.sleep(0.05)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO observations")
    insert(engine, [row for n in range(30) for row in made(n)])
    await until(lambda: left(url) == [f"dec_{n:03}" for n in range(20, 30)])
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
