"""Writing rows, each at most once however often it is tried; a judgement replaces an earlier one of its kind."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from gateway.decisions.schema import decisions, observations, outcomes
from gateway.decisions.types import DecisionRow, ObservationRow, OutcomeRow, Row
from policies.features.stored import to_stored
from policies.features.types import Features
from policies.signals import subject

__all__ = ("insert",)

_TABLES: dict[type, sa.Table] = {DecisionRow: decisions, OutcomeRow: outcomes, ObservationRow: observations}

logger = logging.getLogger(__name__)


def insert(engine: Engine, rows: Sequence[Row]) -> int:
    """Write rows in one transaction; decisions and outcomes already there are left as they are.

    Of judgements with the same decision, source and subject the latest stays, in whatever order they are written.

    A row that the database can never take, such as one with a number out of its range, is left out: it must not hold
    up the others.

    Returns:
        How many rows were left out.

    Raises:
        SQLAlchemyError: The database refused for reasons of its own; the same rows may be tried again.
    """
    try:
        _insert_all(engine, rows)
    except Exception as error:
        if not _blames_rows(error):
            raise
        return sum(not _insert_one(engine, row) for row in rows)
    return 0


def _insert_one(engine: Engine, row: Row) -> bool:
    try:
        _insert_all(engine, [row])
    except Exception as error:
        if not _blames_rows(error):
            raise
        logger.error("a %s of decision %s cannot be stored: %s", type(row).__name__, row.decision_id, error)
        return False
    return True


def _insert_all(engine: Engine, rows: Iterable[Row]) -> None:
    by_table: dict[sa.Table, list[dict[str, Any]]] = {}
    for row in rows:
        by_table.setdefault(_TABLES[type(row)], []).append(_plain(row))
    dialect = sqlite if engine.dialect.name == "sqlite" else postgresql
    with engine.begin() as connection:
        for table, values in by_table.items():
            statement = dialect.insert(table)
            if table is observations:
                connection.execute(_last_one_counts(statement), values)
            else:
                connection.execute(statement.on_conflict_do_nothing(), values)


def _last_one_counts(statement: sqlite.Insert | postgresql.Insert) -> sqlite.Insert | postgresql.Insert:
    new, key = statement.excluded, [column.name for column in observations.primary_key]
    return statement.on_conflict_do_update(
        index_elements=key,
        set_={column.name: new[column.name] for column in observations.columns if column.name not in key},
        where=observations.c.created_at_s <= new.created_at_s,
    )


def _plain(row: Row) -> dict[str, Any]:
    """A row's columns. Features are packed here, on the log's thread: it takes longer than to extract them."""
    if isinstance(row, DecisionRow) and isinstance(row.features, Features):
        row = msgspec.structs.replace(row, features=to_stored(row.features))
    columns: dict[str, Any] = msgspec.to_builtins(row)
    if isinstance(row, ObservationRow):
        columns["subject"] = subject(row.source, row.name)
    return {name: _storable(value) for name, value in columns.items()}


def _storable(value: object) -> object:
    """PostgreSQL has no text with a NUL in it; what a caller or a server writes must not cost the row."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def _blames_rows(error: Exception) -> bool:
    """Whether what was to be written is at fault, and not the database, so that trying again cannot help."""
    if isinstance(error, DBAPIError):
        return isinstance(error, DataError | IntegrityError)
    return isinstance(error, StatementError) or not isinstance(error, SQLAlchemyError)
