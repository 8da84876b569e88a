"""A transaction that has the database's writing for itself, so that what it reads stays true until it commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

__all__ = ("exclusive", "take_lock")


@contextmanager
def exclusive(engine: Engine, *, lock_key: int) -> Iterator[Connection]:
    """A connection whose transaction no other process runs beside, committed at the end of the block.

    Args:
        engine: The database.
        lock_key: Advisory lock of PostgreSQL; those who use the same one wait for each other, until the commit.

    Raises:
        SQLAlchemyError: The database cannot be reached, or was locked for too long.
    """
    with engine.connect() as connection:
        take_lock(connection, lock_key=lock_key)
        yield connection
        connection.commit()


def take_lock(connection: Connection, *, lock_key: int) -> None:
    """Begin the transaction with the lock already taken."""
    if connection.dialect.name == "sqlite":
        # The driver begins transactions late; this takes the write lock before anything is read.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock_key)))
