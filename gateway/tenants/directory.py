"""Finds the principal behind a key, without leaving the process.

All tenants and keys are held in memory and follow the database: a cheap look every second, a full one when something
has changed. Nothing that is wrong with the database reaches a request: what was known last holds on, and the trouble
is told once. Keys that expire do so by the clock, database or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy.engine import Engine

from gateway.clock import Clock
from gateway.errors import AuthenticationError
from gateway.settings import Settings
from gateway.tenants.keys import KeyRecord, digest_of, key_id_of
from gateway.tenants.store import Snapshot, TenantStore
from gateway.tenants.types import ANYONE, Principal, Tenant

__all__ = ("POLL_S", "Directory", "open_directory")

T = TypeVar("T")

POLL_S = 1.0
"""How long a change of tenants or keys takes to be in force on every replica, at most, while the database answers."""

PATIENCE_S = 5.0
"""A database that keeps silent for longer is told of as one that refuses is."""

DATABASE_S = 10.0
"""Longest wait of an administrator for the database."""

HEADERS = {"WWW-Authenticate": 'Bearer realm="trilemma"'}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Credential:
    digest: str
    principal: Principal
    record: KeyRecord


@dataclass(frozen=True, kw_only=True)
class _Known:
    """All that was known at one look; made on the thread that looked, and swapped as a whole."""

    change: int = -1
    keyless: bool = False
    tenants: Mapping[str, Tenant]
    credentials: Mapping[str, _Credential]
    """By the key's digest."""
    by_id: Mapping[str, _Credential] = field(default_factory=dict)
    """By the key's id."""

    @classmethod
    def of(cls, found: Snapshot) -> _Known:
        tenants = dict(found.tenants)
        if ANYONE.tenant.id not in found.names:
            # The operator's own has keys too, though it has no row: commands make them for themselves.
            tenants[ANYONE.tenant.id] = ANYONE.tenant
        credentials = {
            digest: _Credential(
                digest=digest,
                record=key,
                principal=Principal(tenant=tenants[key.tenant], role=key.role, key_id=key.key_id),
            )
            for digest, key in found.keys.items()
            if key.tenant in tenants
        }
        keyless = not found.names
        return cls(
            change=found.change,
            keyless=keyless,
            tenants=found.tenants,
            credentials=credentials,
            by_id={credential.record.key_id: credential for credential in credentials.values()},
        )


class Directory:
    """All tenants and keys, as this process knows them. For the event loop's thread only."""

    def __init__(self, store: TenantStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known = _Known(tenants={}, credentials={})
        self._trouble = ""
        self._refreshing = asyncio.Lock()
        """One look at a time: an older one must not end after a newer one."""

    @property
    def keyless(self) -> bool:
        """Whether there are no tenants, so that this machine's own users need no key, and nobody else has one."""
        return self._known.keyless

    @property
    def tenants(self) -> list[Tenant]:
        """All tenants that are served, by name; without any, the one that this machine's own users are."""
        known = self._known
        return [ANYONE.tenant] if known.keyless else sorted(known.tenants.values(), key=lambda tenant: tenant.id)

    def find(self, tenant_id: str) -> Tenant | None:
        """A tenant that is served."""
        return next((tenant for tenant in self.tenants if tenant.id == tenant_id), None)

    def authenticate(self, key: str | None) -> Principal:
        """Whose key this is.

        The look-up is by the digest of all of the key, in a table: it takes the same time whatever the key, and
        nothing but a key of the right form is even hashed.

        Raises:
            AuthenticationError: There is none, or it is not in force.
        """
        if not key:
            raise _refused("this gateway needs a key: send `Authorization: Bearer KEY`")
        key_id = key_id_of(key)
        if key_id is None:
            raise _refused("the key is malformed: one begins with `tri_` and has 49 characters")
        digest = digest_of(key)
        found = self._known.credentials.get(digest)
        in_force = found is not None and found.record.in_force(now_s=self._clock.wall_s())
        if found is None or not in_force or not hmac.compare_digest(found.digest, digest):
            raise _refused(f"key `{key_id}` is not in force: it is unknown, expired or revoked")
        return found.principal

    def holder(self, key_id: str) -> KeyRecord | None:
        """The record of a key that is in force; it names somebody who has proven it before, and proves nothing."""
        found = self._known.by_id.get(key_id)
        return found.record if found is not None and found.record.in_force(now_s=self._clock.wall_s()) else None

    def principal(self, key_id: str) -> Principal | None:
        """Whom a key that is in force stands for, for those who have proven it before."""
        return self._known.by_id[key_id].principal if self.holder(key_id) is not None else None

    async def change(self, work: Callable[[TenantStore], T]) -> T:
        """Do something with the stored tenants, on a thread; what it changes is in force here at once.

        Raises:
            SQLAlchemyError: The database refused.
            TimeoutError: It does not answer.
            TenantsError: As the store's methods do.
        """
        result = await self.read(work)
        with contextlib.suppress(TimeoutError):  # It is done; the next look will find it.
            async with asyncio.timeout(DATABASE_S):
                await self.refresh()
        return result

    async def read(self, work: Callable[[TenantStore], T]) -> T:
        """Look something up in the stored tenants, on a thread.

        Raises:
            SQLAlchemyError: The database refused.
            TimeoutError: It does not answer.
            TenantsError: As the store's methods do.
        """
        async with asyncio.timeout(DATABASE_S):
            return await asyncio.to_thread(work, self._store)

    async def refresh(self) -> None:
        """Take over what has changed; what is wrong with the database is told once."""
        async with self._refreshing:
            look = asyncio.ensure_future(asyncio.to_thread(self._look, self._known.change))
            await asyncio.wait({look}, timeout=PATIENCE_S)
            if not look.done():
                self._tell("it does not answer")
            try:
                found = await look
            except Exception as error:  # noqa: BLE001 - a directory that is never looked at again would be worse
                self._tell(f"{type(error).__name__}: {error}")
                return
            if found is not None:
                self._known = found
            self._tell("")

    def _tell(self, trouble: str) -> None:
        if trouble != self._trouble:
            logger.warning("tenants cannot be followed, what was known holds on: %s", trouble or "they can again")
            self._trouble = trouble

    def take(self, found: Snapshot) -> None:
        """Have all of this in force, and nothing else."""
        self._known = _Known.of(found)

    def _look(self, seen: int) -> _Known | None:
        return _Known.of(self._store.snapshot()) if self._store.last_change() != seen else None


@asynccontextmanager
async def open_directory(
    settings: Settings, engine: Engine, *, clock: Clock, poll_s: float = POLL_S
) -> AsyncGenerator[Directory, None]:
    """A directory that follows the database until it is closed; the configured tenants are added to it before.

    Raises:
        SQLAlchemyError: The database cannot be read. A gateway that knows no tenants must not take that for none.
    """
    store = TenantStore(engine)
    directory = Directory(store, clock=clock)
    await asyncio.to_thread(store.bootstrap, settings.tenants, now_s=clock.wall_s())
    directory.take(await asyncio.to_thread(store.snapshot))
    closing = asyncio.Event()
    following = asyncio.create_task(_follow(directory, closing, poll_s=poll_s))
    try:
        yield directory
    finally:
        closing.set()  # A look in progress may end, so that its connection is given back.
        await asyncio.wait({following}, timeout=PATIENCE_S)
        following.cancel()


async def _follow(directory: Directory, closing: asyncio.Event, *, poll_s: float) -> None:
    while not closing.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(closing.wait(), poll_s)
            return
        await directory.refresh()


def _refused(message: str) -> AuthenticationError:
    error = AuthenticationError(f"{message}; `trilemma tenants keys add TENANT` makes one")
    error.headers |= HEADERS
    return error
