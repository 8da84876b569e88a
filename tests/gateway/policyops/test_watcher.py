"""A published policy comes into force by itself, and nothing wrong with a stored one reaches a request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.decisions.schema import policy_versions
from gateway.policyops.active import ActivePolicy
from gateway.policyops.store import PolicyStore
from gateway.policyops.watcher import PolicyWatcher
from policies.priorities import DEFAULT_POLICY
from tests.gateways import until
from tests.policy_documents import a_document, open_store, published


@asynccontextmanager
async def watching(store: PolicyStore) -> AsyncIterator[ActivePolicy]:
    policies = ActivePolicy(DEFAULT_POLICY)
    watcher = PolicyWatcher(policies, store, poll_s=0.01)
    await watcher.start()
    try:
        yield policies
    finally:
        await watcher.aclose()


async def test_without_a_published_policy_the_configured_one_holds(tmp_path: Path) -> None:
    with open_store(tmp_path / "db") as store:
        async with watching(store) as policies:
            await asyncio.sleep(0.05)
            assert policies.current is DEFAULT_POLICY


async def test_the_published_policy_holds_from_the_first_request_on(tmp_path: Path) -> None:
    with open_store(tmp_path / "db") as store:
        published(store, epsilon=0.1)
        async with watching(store) as policies:
            assert (policies.current.hash, policies.current.exploration.epsilon) == ("h0.1", 0.1)


async def test_publishing_and_rolling_back_are_followed(tmp_path: Path) -> None:
    with open_store(tmp_path / "db") as store:
        async with watching(store) as policies:
            published(store, epsilon=0.1)
            await until(lambda: policies.current.hash == "h0.1")
            published(store, epsilon=0.2)
            await until(lambda: policies.current.hash == "h0.2")
            store.rollback(author="bob", reason="worse", now_s=9.0)
            await until(lambda: policies.current.hash == "h0.1")


@pytest.mark.parametrize("damage", ["{", "", "schema_version: 99\nname: x\n", "\x00", a_document()[:-30]])
async def test_a_damaged_policy_leaves_the_last_good_one_in_force_and_is_told_once(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_store(tmp_path / "db") as store:
        published(store, epsilon=0.1)
        async with watching(store) as policies:
            store.publish(name="p", hash_="bad", text=damage, author="x", reason="x", now_s=1.0)
            await until(lambda: "policy version 2 cannot be used" in caplog.text)
            await asyncio.sleep(0.05)
            assert policies.current.hash == "h0.1"
            assert caplog.text.count("cannot be used") == 1
            published(store, epsilon=0.3)
            await until(lambda: policies.current.hash == "h0.3")


async def test_a_new_process_passes_over_a_damaged_policy_too(tmp_path: Path) -> None:
    with open_store(tmp_path / "db") as store:
        published(store, epsilon=0.1)
        store.publish(name="p", hash_="bad", text="{", author="x", reason="x", now_s=1.0)
        async with watching(store) as policies:
            assert policies.current.hash == "h0.1"


async def test_a_database_that_cannot_be_read_is_told_once_and_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with open_store(tmp_path / "db") as store:
        published(store, epsilon=0.1)
        async with watching(store) as policies:
            _rename(store, "policy_activations", "elsewhere")
            await until(lambda: "cannot be followed" in caplog.text)
            await asyncio.sleep(0.05)
            assert policies.current.hash == "h0.1"
            assert caplog.text.count("cannot be followed") == 1
            _rename(store, "elsewhere", "policy_activations")
            await until(lambda: "they can again" in caplog.text)
            published(store, epsilon=0.2)
            await until(lambda: policies.current.hash == "h0.2")


async def test_a_stored_hash_names_the_policy_whatever_this_version_would_compute(tmp_path: Path) -> None:
    with open_store(tmp_path / "db") as store:
        published(store, epsilon=0.1)
        assert [row.hash for row in _rows(store)] == ["h0.1"]
        async with watching(store) as policies:
            assert policies.current.hash == "h0.1"


def _rename(store: PolicyStore, table: str, name: str) -> None:
    with store._engine.begin() as connection:
        connection.execute(sa.text(f"ALTER TABLE {table} RENAME TO {name}"))


def _rows(store: PolicyStore) -> list[sa.Row]:
    with store._engine.connect() as connection:
        return list(connection.execute(sa.select(policy_versions)))
