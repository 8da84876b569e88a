"""Reading the log back: one decision, or all of a period in constant memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import decisions, observations, open_engine, outcomes
from gateway.decisions.types import DecisionRow, ObservationRow, OutcomeRow, Record

__all__ = ("choices", "export", "find")

T = TypeVar("T")

PAGE_ROWS = 1000


def find(engine: Engine, decision_id: str) -> Record | None:
    """One decision with its outcome and observations, or None."""
    with engine.connect() as connection:
        found = connection.execute(sa.select(decisions).where(decisions.c.decision_id == decision_id)).all()
        return next(iter(_joined(connection, found)), None)


def choices(engine: Engine) -> dict[str, int]:
    """How many decisions chose each variant."""
    query = sa.select(decisions.c.choice, sa.func.count()).group_by(decisions.c.choice)
    with engine.connect() as connection:
        return {choice: count for choice, count in connection.execute(query) if choice is not None}


def export(url: str, *, since_s: float | None = None, until_s: float | None = None) -> Iterator[Record]:
    """All decisions of a period, oldest first, in constant memory.

    Args:
        url: Database to read.
        since_s: Unix time of the first decision.
        until_s: Unix time before which decisions are read.
    """
    engine = open_engine(url)
    try:
        upgrade(engine)
        yield from _records(engine, since_s=since_s, until_s=until_s)
    finally:
        engine.dispose()


def _records(engine: Engine, *, since_s: float | None, until_s: float | None) -> Iterator[Record]:
    """Walk page by page after the last key seen, so that rows written meanwhile neither repeat nor hide others.

    No transaction is open while the caller works: a slow one holds up no writer.
    """
    order = (decisions.c.created_at_s, decisions.c.decision_id)
    query = sa.select(decisions).order_by(*order).limit(PAGE_ROWS)
    if since_s is not None:
        query = query.where(decisions.c.created_at_s >= since_s)
    if until_s is not None:
        query = query.where(decisions.c.created_at_s < until_s)
    page = _page(engine, query)
    while page:
        yield from page
        last = page[-1].decision
        after = sa.tuple_(*order) > sa.tuple_(sa.literal(last.created_at_s), sa.literal(last.decision_id))
        page = _page(engine, query.where(after))


def _page(engine: Engine, query: sa.Select[Any]) -> list[Record]:
    with engine.connect() as connection:
        return list(_joined(connection, connection.execute(query).all()))


def _joined(connection: Connection, found: Sequence[sa.Row[Any]]) -> Iterator[Record]:
    ids = [row.decision_id for row in found]
    ended = {
        row.decision_id: row for row in connection.execute(sa.select(outcomes).where(outcomes.c.decision_id.in_(ids)))
    }
    judged: dict[str, list[ObservationRow]] = {}
    query = sa.select(observations).where(observations.c.decision_id.in_(ids)).order_by(observations.c.created_at_s)
    for row in connection.execute(query):
        judged.setdefault(row.decision_id, []).append(_read(row, ObservationRow))
    for row in found:
        outcome = ended.get(row.decision_id)
        yield Record(
            decision=_read(row, DecisionRow),
            outcome=None if outcome is None else _read(outcome, OutcomeRow),
            observations=judged.get(row.decision_id, []),
        )


def _read(row: sa.Row[Any], type_: type[T]) -> T:
    return msgspec.convert(row, type_, from_attributes=True)
