"""Brings a database to the current schema. Migrations ship inside the package."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Engine

from gateway.decisions.exclusive import take_lock

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
        take_lock(connection, lock_key=_LOCK_KEY)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
