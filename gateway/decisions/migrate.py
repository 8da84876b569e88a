"""Brings a database to the current schema. Migrations ship inside the package."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine

__all__ = ("upgrade",)

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_KEY = 7_206_911
"""Advisory lock under which PostgreSQL migrations run; any constant will do."""


def upgrade(engine: Engine) -> None:
    """Apply every missing migration; does nothing on a current database.

    Safe from several processes at once: SQLite's write lock, PostgreSQL's advisory lock make the later ones wait.
    """
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    head = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect() as connection:
        if MigrationContext.configure(connection).get_current_revision() == head:
            return
    with engine.connect() as connection:
        _lock(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        # The driver begins transactions late; this takes the write lock before the version is read.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_KEY)))
