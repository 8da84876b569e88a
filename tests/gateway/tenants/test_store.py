"""Tenants and keys are kept, changed in one transaction each, and traced; on SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from gateway.decisions.schema import open_engine
from gateway.tenants.changes import Author
from gateway.tenants.errors import NoSuchKeyError, NoSuchTenantError, TenantExistsError
from gateway.tenants.keys import KeyTerms, digest_of
from gateway.tenants.tables import tenants
from gateway.tenants.types import ANYONE, Quotas, Role, Spend, Tenant
from policies.objective import Limits
from policies.promises.types import Sla
from tests.decision_rows import sqlite_url
from tests.tenancy import ALICE, opened_store

GOLDEN = Path(__file__).parents[1] / "decisions" / "golden"
LAW = Tenant(id="law", sla=Sla(mean_quality=0.9), quotas=Quotas(concurrent=3), variants=("full",))


def test_a_tenant_is_kept_as_it_was_given(url: str) -> None:
    with opened_store(url) as store:
        stored, key = store.add(LAW, author=ALICE)
        assert (stored.tenant, stored.created_at_s, stored.removed_at_s, key) == (LAW, 1000.0, None, None)
        assert store.find("law") == stored
        changed = msgspec.structs.replace(LAW, budget=Spend(usd=2.0), variants=None)
        again = store.replace(changed, author=Author(name="bob", now_s=2000.0))
        assert (again.tenant, again.created_at_s, again.updated_at_s) == (changed, 1000.0, 2000.0)
        assert [stored.tenant for stored in store.all()] == [changed]


def test_names_are_unique_and_those_of_removed_tenants_stay_taken(url: str) -> None:
    with opened_store(url) as store:
        store.add(LAW, author=ALICE)
        store.remove("law", author=ALICE)
        with pytest.raises(TenantExistsError, match="`law`"):
            store.add(LAW, author=ALICE, key=KeyTerms())
        assert store.keys.all() == [], "nothing of a change that failed is left"
        assert store.restore("law", author=ALICE).removed_at_s is None


@pytest.mark.parametrize("name", ["", "nobody", "' OR 1=1 --", "law\x00", "x" * 100_000])
def test_what_is_not_there_cannot_be_changed(tmp_path: Path, name: str) -> None:
    with opened_store(sqlite_url(tmp_path / "db")) as store:
        store.add(LAW, author=ALICE)
        for change in (store.remove, store.restore):
            with pytest.raises(NoSuchTenantError):
                change(name, author=ALICE)
        with pytest.raises(NoSuchTenantError):
            store.keys.add(name, KeyTerms(), author=ALICE)
        with pytest.raises(NoSuchKeyError):
            store.keys.revoke(name, author=ALICE)
        with pytest.raises(NoSuchKeyError):
            store.keys.rotate(name, grace_s=1.0, author=ALICE)
        assert len(store.changes(limit=100)) == 1


def test_only_the_digest_of_a_key_is_in_the_database(tmp_path: Path) -> None:
    file = tmp_path / "db"
    with opened_store(sqlite_url(file)) as store:
        _, key = store.add(LAW, author=ALICE, key=KeyTerms(role=Role.ADMIN, name="me"))
        assert key is not None
        assert store.snapshot().keys == {digest_of(key.text): key.record}
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert digest_of(key.text).encode() in kept
    assert key.text.rpartition("_")[2].encode() not in kept


def test_a_rotated_key_is_followed_by_one_like_it_and_ends_after_its_grace(url: str) -> None:
    with opened_store(url) as store:
        store.add(LAW, author=ALICE)
        old = store.keys.add("law", KeyTerms(role=Role.OPERATOR, name="ci", expires_in_s=5000.0), author=ALICE).record
        new = store.keys.rotate(old.key_id, grace_s=60.0, author=Author(name="bob", now_s=2000.0)).record
        assert (new.tenant, new.role, new.name) == ("law", Role.OPERATOR, "ci")
        assert (new.created_at_s, new.expires_at_s) == (2000.0, 7000.0), "it holds for as long as the old one did"
        kept = {key.key_id: key for key in store.keys.all(tenant="law")}
        assert kept[old.key_id].expires_at_s == 2060.0
        store.keys.rotate(new.key_id, grace_s=1e6, author=Author(name="bob", now_s=3000.0))
        assert {key.key_id: key for key in store.keys.all()}[new.key_id].expires_at_s == 7000.0, "never for longer"
        with pytest.raises(NoSuchKeyError):
            store.keys.rotate(old.key_id, grace_s=60.0, author=Author(name="bob", now_s=2060.0))


def test_a_revoked_key_is_listed_and_opens_nothing(url: str) -> None:
    with opened_store(url) as store:
        _, key = store.add(LAW, author=ALICE, key=KeyTerms())
        assert key is not None
        ended = store.keys.revoke(key.record.key_id, author=Author(name="bob", now_s=1500.0))
        assert (store.keys.all(), store.snapshot().keys) == ([ended], {})
        assert ended.revoked_at_s == 1500.0
        with pytest.raises(NoSuchKeyError):
            store.keys.revoke(key.record.key_id, author=ALICE)


def test_every_change_leaves_a_line_with_its_author(url: str) -> None:
    with opened_store(url) as store:
        store.bootstrap([Tenant(id="support")], now_s=1.0)
        _, key = store.add(LAW, author=ALICE, key=KeyTerms(name="app"))
        assert key is not None
        bob = Author(name=key.record.key_id, now_s=2.0)
        store.replace(LAW, author=bob)
        successor = store.keys.rotate(key.record.key_id, grace_s=0.0, author=bob).record.key_id
        store.keys.revoke(successor, author=bob)
        store.remove("law", author=bob)
        store.restore("law", author=bob)
        trail = store.changes(limit=100)
        assert [(c.actor, c.action, c.tenant, c.key_id) for c in reversed(trail)] == [
            ("configuration", "add", "support", None),
            ("alice", "add", "law", None),
            ("alice", "add_key", "law", key.record.key_id),
            (key.record.key_id, "set", "law", None),
            (key.record.key_id, "add_key", "law", successor),
            (key.record.key_id, "rotate_key", "law", key.record.key_id),
            (key.record.key_id, "revoke_key", "law", successor),
            (key.record.key_id, "remove", "law", None),
            (key.record.key_id, "restore", "law", None),
        ]
        assert store.last_change() == trail[0].change
        assert store.changes(limit=2, before=trail[3].change) == trail[4:6]


def test_configured_tenants_are_added_once_and_what_was_changed_since_stays(url: str) -> None:
    with opened_store(url) as store:
        assert store.bootstrap([LAW, Tenant(id="b")], now_s=1.0) == ["law", "b"]
        changed = msgspec.structs.replace(LAW, weight=7.0)
        store.replace(changed, author=ALICE)
        store.remove("b", author=ALICE)
        assert store.bootstrap([LAW, Tenant(id="b"), Tenant(id="c")], now_s=2.0) == ["c"]
        assert store.find("law").tenant == changed
        assert store.find("b").removed_at_s is not None


def test_replicas_that_start_together_add_configured_tenants_once(url: str) -> None:
    with opened_store(url) as one, opened_store(url) as other, ThreadPoolExecutor(8) as threads:
        configured = [Tenant(id=f"t{number}") for number in range(5)]
        added = threads.map(lambda store: store.bootstrap(configured, now_s=1.0), [one, other] * 4)
        assert sorted(name for names in added for name in names) == [tenant.id for tenant in configured]


def test_the_operators_own_tenant_may_have_keys_without_a_row_unless_it_was_removed(url: str) -> None:
    with opened_store(url) as store:
        store.keys.add(ANYONE.tenant.id, KeyTerms(), author=ALICE)
        assert store.snapshot().names == frozenset()
        store.add(Tenant(id=ANYONE.tenant.id), author=ALICE)
        store.remove(ANYONE.tenant.id, author=ALICE)
        with pytest.raises(NoSuchTenantError):
            store.keys.add(ANYONE.tenant.id, KeyTerms(), author=ALICE)


def test_a_tenant_of_a_later_version_is_read_as_far_as_it_is_known_here(url: str) -> None:
    with opened_store(url) as store:
        store.add(LAW, author=ALICE)
        document = msgspec.to_builtins(LAW) | {"colour": "red", "quotas": {"concurrent": 3, "per_year": 1}}
        _write(url, document)
        assert store.find("law").tenant == LAW


@pytest.mark.parametrize(
    "document", [{"max_service_tier": "urgent"}, {"quotas": {"concurrent": -1}}, [], "law", None]
)
def test_a_tenant_that_cannot_be_read_is_nobody_and_still_ends_the_time_without_keys(
    tmp_path: Path, document: Any, caplog: pytest.LogCaptureFixture
) -> None:
    url = sqlite_url(tmp_path / "db")
    with opened_store(url) as store:
        store.add(LAW, author=ALICE, key=KeyTerms())
        _write(url, document)
        found = store.snapshot()
        assert (found.tenants, found.names) == ({}, {"law"})
        assert "tenant law cannot be used" in caplog.text


def test_what_an_earlier_version_wrote_is_read_back(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "db") as connection:
        connection.executescript((GOLDEN / "v8.sql").read_text())
    connection.close()
    with opened_store(sqlite_url(tmp_path / "db")) as store:
        law = store.find("law").tenant
        assert (law.sla.availability, law.limits, law.variants) == (
            0.999,
            Limits(min_quality=0.6, latency_s=60.0),
            ("full", "quantized"),
        )
        assert store.find("support").removed_at_s is not None
        assert [(key.key_id, key.role) for key in store.keys.all(tenant="law")] == [
            ("A" * 12, Role.ADMIN),
            ("B" * 12, Role.CALLER),
            ("C" * 12, Role.CALLER),
        ]
        text = f"tri_{'C' * 12}_{'c' * 32}"
        assert store.snapshot().keys[digest_of(text)].key_id == "C" * 12, "keys that were told stay keys"
        assert len(store.changes(limit=100)) == 9


def _write(url: str, document: Any) -> None:
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.update(tenants).values(document=document))
    engine.dispose()
