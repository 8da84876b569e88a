"""The audit trail: every change of a tenant or a key, by whom, in the transaction that makes it.

The trail is insert-only, and its latest number is also how every process notices that something has changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from gateway.decisions.exclusive import exclusive
from gateway.tenants.tables import tenant_changes

__all__ = ("Act", "Author", "Change", "Writing", "last_change", "list_changes", "writing")

_LOCK_KEY = 7_206_913
"""Advisory lock under which PostgreSQL changes tenants: numbers of the trail are given in the order of commits."""


class Act(StrEnum):
    """What can be done to a tenant or a key."""

    ADD = "add"
    SET = "set"
    REMOVE = "remove"
    RESTORE = "restore"
    ADD_KEY = "add_key"
    ROTATE_KEY = "rotate_key"
    REVOKE_KEY = "revoke_key"


class Author(msgspec.Struct, frozen=True, kw_only=True):
    """Who makes a change, and when."""

    name: str
    """The id of the key that allowed it, or what stood in its place, such as `cli:alice`."""
    now_s: float
    """Unix time."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the trail."""

    change: int
    at_s: float
    """Unix time."""
    actor: str
    action: str
    tenant: str
    key_id: str | None
    """The key that was made or ended."""
    detail: Any
    """What was set."""


@dataclass(frozen=True, kw_only=True)
class Writing:
    """A transaction that changes something, and the trail it leaves."""

    connection: Connection
    author: Author

    def note(
        self, act: Act, *, tenant: str, key_id: str | None = None, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Add a line to the trail."""
        self.connection.execute(
            tenant_changes.insert().values(
                at_s=self.author.now_s,
                actor=self.author.name[:128],
                action=act,
                tenant=tenant,
                key_id=key_id,
                detail=dict(detail or {}),
            )
        )


@contextmanager
def writing(engine: Engine, author: Author) -> Iterator[Writing]:
    """A transaction that no other process changes tenants beside.

    Raises:
        SQLAlchemyError: The database refused; nothing was changed.
    """
    with exclusive(engine, lock_key=_LOCK_KEY) as connection:
        yield Writing(connection=connection, author=author)


def last_change(connection: Connection) -> int:
    """Number of the latest change, 0 before the first."""
    return int(connection.scalar(sa.select(sa.func.max(tenant_changes.c.change))) or 0)


def list_changes(connection: Connection, *, limit: int, before: int | None = None) -> list[Change]:
    """The latest changes, latest first.

    Args:
        connection: Of the database.
        limit: How many, at most.
        before: Only those with a lower number.
    """
    query = sa.select(tenant_changes).order_by(tenant_changes.c.change.desc()).limit(limit)
    if before is not None:
        query = query.where(tenant_changes.c.change < before)
    return [msgspec.convert(row, Change, from_attributes=True) for row in connection.execute(query)]
