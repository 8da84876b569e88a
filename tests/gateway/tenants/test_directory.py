"""Who is behind a key: fast, current, and never anybody by mistake."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import SYSTEM_CLOCK, Clock
from gateway.decisions.schema import open_engine
from gateway.errors import AuthenticationError
from gateway.settings import Settings
from gateway.tenants.directory import POLL_S, Directory, open_directory
from gateway.tenants.keys import KeyTerms, digest_of, mint
from gateway.tenants.store import TenantStore
from gateway.tenants.types import ANYONE, Role, Tenant
from tests.decision_rows import sqlite_url
from tests.gateways import local, until
from tests.tenancy import ALICE, opened_store

LAW = Tenant(id="law", weight=2.0)


@asynccontextmanager
async def following(
    url: str, *tenants: Tenant, clock: Clock = SYSTEM_CLOCK, poll_s: float = 0.01
) -> AsyncIterator[tuple[Directory, TenantStore]]:
    """A directory, and the store of somebody else who changes its database."""
    settings = msgspec.convert({"variants": [local("v")], "tenants": msgspec.to_builtins(tenants)}, Settings)
    engine = open_engine(url)
    with opened_store(url) as store:
        async with open_directory(settings, engine, clock=clock, poll_s=poll_s) as directory:
            yield directory, store
    engine.dispose()


def refused(directory: Directory, key: str | None) -> bool:
    try:
        directory.authenticate(key)
    except AuthenticationError:
        return True
    return False


async def test_a_key_stands_for_its_tenant_its_role_and_itself(url: str) -> None:
    async with following(url) as (directory, store):
        _, key = store.add(LAW, author=ALICE, key=KeyTerms(role=Role.OPERATOR))
        assert key is not None
        await until(lambda: not directory.keyless)
        found = directory.authenticate(key.text)
        assert (found.tenant, found.role, found.key_id) == (LAW, Role.OPERATOR, key.record.key_id)


async def test_without_tenants_nobody_needs_a_key_and_no_key_is_good(tmp_path: Path) -> None:
    async with following(sqlite_url(tmp_path / "db")) as (directory, store):
        assert directory.keyless
        assert (directory.tenants, directory.find("default")) == ([ANYONE.tenant], ANYONE.tenant)
        assert refused(directory, None)
        store.add(LAW, author=ALICE)
        await until(lambda: not directory.keyless)
        assert (directory.tenants, directory.find("default"), directory.find("law")) == ([LAW], None, LAW)
        store.remove("law", author=ALICE)
        await until(lambda: directory.tenants == [])
        assert not directory.keyless, "removing the last tenant opens nothing"


async def test_configured_tenants_hold_from_the_first_request_on(tmp_path: Path) -> None:
    async with following(sqlite_url(tmp_path / "db"), LAW) as (directory, _):
        assert (directory.keyless, directory.tenants) == (False, [LAW])


async def test_changes_are_followed_and_what_was_taken_away_is_gone(url: str) -> None:
    async with following(url, LAW) as (directory, store):
        key = store.keys.add("law", KeyTerms(), author=ALICE)
        await until(lambda: not refused(directory, key.text))
        store.replace(msgspec.structs.replace(LAW, weight=3.0), author=ALICE)
        await until(lambda: directory.authenticate(key.text).tenant.weight == 3.0)
        store.remove("law", author=ALICE)
        await until(lambda: refused(directory, key.text))
        store.restore("law", author=ALICE)
        await until(lambda: not refused(directory, key.text))
        store.keys.revoke(key.record.key_id, author=ALICE)
        await until(lambda: refused(directory, key.text))


async def test_a_key_ends_by_the_clock_even_while_the_database_is_away(tmp_path: Path) -> None:
    now_s = 1000.0
    clock = Clock(wall_s=lambda: now_s, monotonic_s=time.perf_counter)
    async with following(sqlite_url(tmp_path / "db"), LAW, clock=clock, poll_s=60.0) as (directory, store):
        key = store.keys.add("law", KeyTerms(expires_in_s=100.0), author=ALICE)
        await directory.refresh()
        now_s = 1099.9
        assert directory.authenticate(key.text).key_id == key.record.key_id
        now_s = 1100.0
        assert refused(directory, key.text)


async def test_what_was_known_holds_on_while_the_database_cannot_be_read_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = sqlite_url(tmp_path / "db")
    async with following(url, LAW) as (directory, store):
        key = store.keys.add("law", KeyTerms(), author=ALICE)
        await directory.refresh()
        rename(url, "tenant_changes", "away")
        with caplog.at_level(logging.WARNING):
            await until(lambda: "what was known holds on" in caplog.text)
            await asyncio.sleep(0.1)
        assert directory.authenticate(key.text).tenant == LAW
        assert len(caplog.records) == 1
        rename(url, "away", "tenant_changes")
        await until(lambda: "they can again" in caplog.text)
        store.keys.revoke(key.record.key_id, author=ALICE)
        await until(lambda: refused(directory, key.text))


async def test_a_database_that_keeps_silent_is_told_of_and_holds_nobody_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.tenants.directory.PATIENCE_S", 0.05)
    monkeypatch.setattr("gateway.tenants.directory.DATABASE_S", 0.2)
    silent, url = threading.Event(), sqlite_url(tmp_path / "db")
    async with following(url, LAW) as (directory, store):
        key = store.keys.add("law", KeyTerms(), author=ALICE)
        await until(lambda: not refused(directory, key.text))
        monkeypatch.setattr(TenantStore, "last_change", lambda _: silent.wait(10))
        await until(lambda: "it does not answer" in caplog.text)
        with pytest.raises(TimeoutError):
            await directory.read(lambda _: silent.wait(10))
        assert directory.authenticate(key.text).tenant == LAW
        silent.set()


async def test_a_gateway_that_cannot_read_its_tenants_does_not_start_as_if_there_were_none(tmp_path: Path) -> None:
    engine = open_engine(sqlite_url(tmp_path / "empty"))
    settings = msgspec.convert({"variants": [local("v")]}, Settings)
    with pytest.raises(sa.exc.OperationalError):
        async with open_directory(settings, engine, clock=SYSTEM_CLOCK):
            pass
    engine.dispose()


def rename(url: str, table: str, name: str) -> None:
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(f"ALTER TABLE {table} RENAME TO {name}"))
    engine.dispose()


KEY = mint()[1]


@pytest.fixture(scope="module")
def filled() -> Directory:
    """A directory with one key among many."""
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    from gateway.decisions.migrate import upgrade
    from gateway.tenants import key_store

    upgrade(engine)
    store = TenantStore(engine)
    store.add(LAW, author=ALICE)
    minted = iter([(KEY[4:16], KEY), *(mint() for _ in range(200))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_store, "mint", lambda: next(minted))
        for _ in range(201):
            store.keys.add("law", KeyTerms(), author=ALICE)
    directory = Directory(store, clock=SYSTEM_CLOCK)
    directory.take(store.snapshot())
    engine.dispose()
    return directory


@given(st.text(max_size=200) | st.integers(0, 48).map(lambda n: KEY[:n]) | st.sampled_from([KEY * 2, digest_of(KEY)]))
def test_nothing_but_a_key_is_a_key(filled: Directory, text: str) -> None:
    assert refused(filled, text)
    assert not refused(filled, KEY)


@given(st.integers(0, 48), st.sampled_from("0aZ_-'\" \x00"))
def test_a_key_with_one_symbol_changed_is_none(filled: Directory, place: int, symbol: str) -> None:
    other = KEY[:place] + symbol + KEY[place + 1 :]
    assert refused(filled, other) == (other != KEY)


def test_what_is_kept_of_a_key_does_not_open_anything(filled: Directory) -> None:
    digest = digest_of(KEY)
    for text in (digest, f"tri_{digest[:12]}_{digest[:32]}", f"{KEY[:17]}{digest[:32]}"):
        assert refused(filled, text)


def test_the_look_up_reads_no_other_key(filled: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    """One comparison of digests, whatever is sent: nothing to measure by how long it takes."""
    compared: list[tuple[object, object]] = []
    import hmac

    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or real(a, b))
    filled.authenticate(KEY)
    assert compared == [(digest_of(KEY), digest_of(KEY))]
    assert refused(filled, mint()[1])
    assert len(compared) == 1


def test_the_database_is_looked_at_often_enough_for_the_time_that_is_stated() -> None:
    assert POLL_S <= 1.0
