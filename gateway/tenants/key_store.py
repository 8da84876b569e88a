"""Keys in the database: made, listed, replaced and ended. What is stored of one opens nothing."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from gateway.tenants.changes import Act, Author, Writing, writing
from gateway.tenants.errors import NoSuchKeyError, NoSuchTenantError
from gateway.tenants.keys import IssuedKey, KeyRecord, KeyTerms, digest_of, mint
from gateway.tenants.tables import tenant_keys, tenants
from gateway.tenants.types import ANYONE

__all__ = ("KeyStore", "keys_by_digest", "make_key")

logger = logging.getLogger(__name__)


class KeyStore:
    """Reads and writes keys; every method is one transaction, and raises SQLAlchemyError if that fails."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self, *, tenant: str | None = None) -> list[KeyRecord]:
        """All keys there ever were, or those of one tenant, oldest first."""
        query = sa.select(tenant_keys).order_by(tenant_keys.c.created_at_s, tenant_keys.c.key_id)
        if tenant is not None:
            query = query.where(tenant_keys.c.tenant == tenant)
        with self._engine.connect() as connection:
            return [record for _, record in _records(connection, query)]

    def add(self, tenant: str, terms: KeyTerms, *, author: Author) -> IssuedKey:
        """Make a key.

        Raises:
            NoSuchTenantError: There is no such tenant, or it was removed.
        """
        with writing(self._engine, author) as write:
            return make_key(write, tenant, terms)

    def revoke(self, key_id: str, *, author: Author) -> KeyRecord:
        """End a key now; every process refuses it within seconds.

        Raises:
            NoSuchKeyError: There is none, or it was revoked before.
        """
        with writing(self._engine, author) as write:
            record = _current(write.connection, key_id)
            _update(write.connection, key_id, revoked_at_s=author.now_s)
            write.note(Act.REVOKE_KEY, tenant=record.tenant, key_id=key_id)
            return msgspec.structs.replace(record, revoked_at_s=author.now_s)

    def rotate(self, key_id: str, *, grace_s: float, author: Author) -> IssuedKey:
        """Make a key of the same tenant, role and name; the old one ends after the grace period.

        A key that expires is followed by one that holds for as long as it did.

        Args:
            key_id: The key to follow.
            grace_s: Seconds for which both are in force.
            author: Who does it.

        Raises:
            NoSuchKeyError: There is none, it was revoked, or it has expired.
            NoSuchTenantError: Its tenant was removed.
        """
        with writing(self._engine, author) as write:
            old = _current(write.connection, key_id)
            if not old.in_force(now_s=author.now_s):
                raise NoSuchKeyError(key_id)
            lasting_s = None if old.expires_at_s is None else old.expires_at_s - old.created_at_s
            made = make_key(write, old.tenant, KeyTerms(role=old.role, name=old.name, expires_in_s=lasting_s))
            ends_s = author.now_s + grace_s
            if old.expires_at_s is not None:
                ends_s = min(ends_s, old.expires_at_s)
            _update(write.connection, key_id, expires_at_s=ends_s)
            detail = {"successor": made.record.key_id, "expires_at_s": ends_s}
            write.note(Act.ROTATE_KEY, tenant=old.tenant, key_id=key_id, detail=detail)
            return made


def make_key(write: Writing, tenant: str, terms: KeyTerms) -> IssuedKey:
    """Make a key as part of a change.

    Raises:
        NoSuchTenantError: There is no such tenant, or it was removed.
    """
    query = sa.select(tenants.c.removed_at_s).where(tenants.c.tenant == tenant)
    found = write.connection.execute(query).one_or_none()
    if found.removed_at_s is not None if found else tenant != ANYONE.tenant.id:
        raise NoSuchTenantError(tenant)
    now_s, (key_id, text) = write.author.now_s, mint()
    record = KeyRecord(
        key_id=key_id,
        tenant=tenant,
        role=terms.role,
        name=terms.name,
        created_at_s=now_s,
        expires_at_s=None if terms.expires_in_s is None else now_s + terms.expires_in_s,
    )
    values = msgspec.structs.asdict(record) | {"digest": digest_of(text)}
    write.connection.execute(tenant_keys.insert().values(**values))
    detail = {"role": terms.role, "name": terms.name, "expires_at_s": record.expires_at_s}
    write.note(Act.ADD_KEY, tenant=tenant, key_id=key_id, detail=detail)
    return IssuedKey(text=text, record=record)


def keys_by_digest(connection: Connection) -> Mapping[str, KeyRecord]:
    """All keys that were not revoked, by their digest."""
    return dict(_records(connection, sa.select(tenant_keys).where(tenant_keys.c.revoked_at_s.is_(None))))


def _records(connection: Connection, query: sa.Select[tuple[object, ...]]) -> list[tuple[str, KeyRecord]]:
    """The keys with their digests; one that a later version gave a role unknown here opens nothing here."""
    found: list[tuple[str, KeyRecord]] = []
    for row in connection.execute(query):
        try:
            found.append((row.digest, msgspec.convert(row, KeyRecord, from_attributes=True)))
        except msgspec.ValidationError as error:
            logger.error("key %s cannot be used: %s", row.key_id, error)
    return found


def _current(connection: Connection, key_id: str) -> KeyRecord:
    query = sa.select(tenant_keys).where(tenant_keys.c.key_id == key_id, tenant_keys.c.revoked_at_s.is_(None))
    found = _records(connection, query)
    if not found:
        raise NoSuchKeyError(key_id)
    return found[0][1]


def _update(connection: Connection, key_id: str, **values: float) -> None:
    connection.execute(tenant_keys.update().where(tenant_keys.c.key_id == key_id).values(**values))
