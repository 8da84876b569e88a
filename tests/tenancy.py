"""Tenants and keys for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from gateway.tenants.changes import Author
from gateway.tenants.keys import IssuedKey, KeyTerms
from gateway.tenants.store import TenantStore
from gateway.tenants.types import Role, Tenant
from tests.gateways import RunningGateway

__all__ = ("ALICE", "bearer", "opened_store", "with_tenant")

ALICE = Author(name="alice", now_s=1000.0)


@contextmanager
def opened_store(url: str) -> Iterator[TenantStore]:
    """The tenants of a database, brought up to date."""
    engine = open_engine(url)
    try:
        upgrade(engine)
        yield TenantStore(engine)
    finally:
        engine.dispose()


async def with_tenant(
    gateway: RunningGateway, tenant_id: str, *, role: Role = Role.CALLER, **fields: Any
) -> IssuedKey:
    """A tenant of a running gateway, and a key for it that is in force."""
    tenant, author = Tenant(id=tenant_id, **fields), Author(name="test", now_s=gateway.services.clock.wall_s())
    _, key = await gateway.services.directory.change(
        lambda store: store.add(tenant, author=author, key=KeyTerms(role=role))
    )
    assert key is not None
    return key


def bearer(key: IssuedKey | str) -> dict[str, str]:
    """The header that proves a key."""
    return {"Authorization": f"Bearer {key if isinstance(key, str) else key.text}"}
