"""Inserting rows, each at most once however often it is tried."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Engine

from gateway.decisions.schema import decisions, observations, outcomes
from gateway.decisions.types import DecisionRow, ObservationRow, OutcomeRow, Row

__all__ = ("insert",)

_TABLES: dict[type, sa.Table] = {DecisionRow: decisions, OutcomeRow: outcomes, ObservationRow: observations}


def insert(engine: Engine, rows: Iterable[Row]) -> None:
    """Insert rows in one transaction; those already there are left as they are.

    Raises:
        SQLAlchemyError: Nothing of the batch was written.
    """
    by_table: dict[sa.Table, list[dict[str, Any]]] = {}
    for row in rows:
        by_table.setdefault(_TABLES[type(row)], []).append(msgspec.to_builtins(row))
    dialect = sqlite if engine.dialect.name == "sqlite" else postgresql
    with engine.begin() as connection:
        for table, values in by_table.items():
            connection.execute(dialect.insert(table).on_conflict_do_nothing(), values)
