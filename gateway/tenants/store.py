"""Tenants in the database.

A tenant is stored as the document that people write, so that a new field needs no migration. Edited documents are
strict; stored ones are read by every version, which passes over keys that it does not know. A tenant that cannot be
read even so may do nothing: its keys are refused.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from gateway.tenants.changes import Act, Author, Change, Writing, last_change, list_changes, writing
from gateway.tenants.errors import NoSuchTenantError, TenantExistsError
from gateway.tenants.key_store import KeyStore, keys_by_digest, make_key
from gateway.tenants.keys import IssuedKey, KeyRecord, KeyTerms
from gateway.tenants.tables import tenants
from gateway.tenants.types import Tenant
from policies.documents.lenient import convert_known

__all__ = ("Snapshot", "StoredTenant", "TenantStore")

logger = logging.getLogger(__name__)


class StoredTenant(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant, and since when."""

    tenant: Tenant
    created_at_s: float
    """Unix time."""
    updated_at_s: float
    removed_at_s: float | None = None
    """Since when nothing is answered to it; None while it is served."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All that is needed to tell who asks."""

    change: int
    """Number of a change that is in it; later ones may be too."""
    names: frozenset[str]
    """Of all tenants there are or were, readable or not."""
    tenants: Mapping[str, Tenant]
    """Those that are served, by id."""
    keys: Mapping[str, KeyRecord]
    """Those that were not revoked, by digest."""


class TenantStore:
    """Reads and writes tenants; every method is one transaction, and raises SQLAlchemyError if that fails.

    Several processes may use one database at once: those that write wait for each other.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.keys = KeyStore(engine)
        """What they prove themselves by."""

    def all(self) -> list[StoredTenant]:
        """All of them, removed ones too, by name."""
        with self._engine.connect() as connection:
            return _stored(connection.execute(sa.select(tenants).order_by(tenants.c.tenant)))

    def find(self, tenant_id: str) -> StoredTenant:
        """One of them.

        Raises:
            NoSuchTenantError: There is none of this name.
        """
        with self._engine.connect() as connection:
            return _find(connection, tenant_id)

    def snapshot(self) -> Snapshot:
        """All that is in force now."""
        with self._engine.connect() as connection:
            change = last_change(connection)  # First, so that what is changed meanwhile is seen at the next look.
            rows = connection.execute(sa.select(tenants)).all()
            served = {s.tenant.id: s.tenant for s in _stored(rows) if s.removed_at_s is None}
            return Snapshot(
                change=change,
                names=frozenset(row.tenant for row in rows),
                tenants=served,
                keys=keys_by_digest(connection),
            )

    def names(self) -> frozenset[str]:
        """Names of all tenants there are or were."""
        with self._engine.connect() as connection:
            return frozenset(connection.scalars(sa.select(tenants.c.tenant)))

    def last_change(self) -> int:
        """Number of the latest change of anything: a cheap look at whether something moved."""
        with self._engine.connect() as connection:
            return last_change(connection)

    def changes(self, *, limit: int, before: int | None = None) -> list[Change]:
        """The audit trail, latest first."""
        with self._engine.connect() as connection:
            return list_changes(connection, limit=limit, before=before)

    def add(
        self, tenant: Tenant, *, author: Author, key: KeyTerms | None = None
    ) -> tuple[StoredTenant, IssuedKey | None]:
        """Add a tenant, and its first key where terms for one are given: both or neither.

        Raises:
            TenantExistsError: There is, or was, one of this name.
        """
        with writing(self._engine, author) as write:
            if _row(write.connection, tenant.id) is not None:
                raise TenantExistsError(tenant.id)
            _insert(write, tenant)
            issued = None if key is None else make_key(write, tenant.id, key)
            return _find(write.connection, tenant.id), issued

    def replace(self, tenant: Tenant, *, author: Author) -> StoredTenant:
        """Put another document in the place of a tenant's.

        Raises:
            NoSuchTenantError: There is none of this name.
        """
        return self._change(tenant.id, Act.SET, author, document=_document(tenant))

    def remove(self, tenant_id: str, *, author: Author) -> StoredTenant:
        """Serve a tenant no more; its name, its keys and its log stay.

        Raises:
            NoSuchTenantError: There is none of this name.
        """
        return self._change(tenant_id, Act.REMOVE, author, removed_at_s=author.now_s)

    def restore(self, tenant_id: str, *, author: Author) -> StoredTenant:
        """Serve a removed tenant again, by the keys it had.

        Raises:
            NoSuchTenantError: There is none of this name.
        """
        return self._change(tenant_id, Act.RESTORE, author, removed_at_s=None)

    def bootstrap(self, configured: Iterable[Tenant], *, now_s: float) -> list[str]:
        """Add the configured tenants that there never were; returns their names. What was changed since stays."""
        missing = list(configured)
        if missing:  # Most configurations have none, and nobody is to wait for the write lock then.
            with self._engine.connect() as connection:
                missing = [tenant for tenant in missing if _row(connection, tenant.id) is None]
        if not missing:
            return []
        with writing(self._engine, Author(name="configuration", now_s=now_s)) as write:
            added = [tenant for tenant in missing if _row(write.connection, tenant.id) is None]
            for tenant in added:
                _insert(write, tenant)
        return [tenant.id for tenant in added]

    def _change(self, tenant_id: str, act: Act, author: Author, **values: Any) -> StoredTenant:  # noqa: ANN401 - columns
        with writing(self._engine, author) as write:
            values["updated_at_s"] = author.now_s
            update = tenants.update().where(tenants.c.tenant == tenant_id).values(**values)
            if write.connection.execute(update).rowcount == 0:
                raise NoSuchTenantError(tenant_id)
            write.note(act, tenant=tenant_id, detail=values.get("document"))
            return _find(write.connection, tenant_id)


def _insert(write: Writing, tenant: Tenant) -> None:
    now_s, document = write.author.now_s, _document(tenant)
    values = {"tenant": tenant.id, "document": document, "created_at_s": now_s, "updated_at_s": now_s}
    write.connection.execute(tenants.insert().values(**values))
    write.note(Act.ADD, tenant=tenant.id, detail=document)


def _document(tenant: Tenant) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(tenant)
    return plain


def _row(connection: Connection, tenant_id: str) -> sa.Row[Any] | None:
    return connection.execute(sa.select(tenants).where(tenants.c.tenant == tenant_id)).one_or_none()


def _find(connection: Connection, tenant_id: str) -> StoredTenant:
    row = _row(connection, tenant_id)
    found = [] if row is None else _stored([row])
    if not found:
        raise NoSuchTenantError(tenant_id)
    return found[0]


def _stored(rows: Iterable[sa.Row[Any]]) -> list[StoredTenant]:
    """The tenants of these rows, but for those that cannot be read."""
    found: list[StoredTenant] = []
    for row in rows:
        try:
            tenant = convert_known(row.document | {"id": row.tenant}, Tenant)
        except (msgspec.ValidationError, TypeError) as error:
            logger.error("tenant %s cannot be used: %s", row.tenant, error)
            continue
        times = {"created_at_s": row.created_at_s, "updated_at_s": row.updated_at_s}
        found.append(StoredTenant(tenant=tenant, removed_at_s=row.removed_at_s, **times))
    return found
