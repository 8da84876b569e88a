"""Tenants, keys and policies are managed over HTTP, strictly, and every change is traced to the key that made it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.decisions.schema import open_engine
from gateway.tenants.types import Role
from tests.decision_rows import sqlite_url
from tests.gateways import HELLO, RunningGateway, behind, until
from tests.policy_documents import a_document
from tests.providers import Answer, completion_body
from tests.tenancy import bearer, with_tenant


class Admin:
    """Speaks to a gateway with an administrator's key."""

    def __init__(self, gateway: RunningGateway, key: str, key_id: str) -> None:
        self.gateway = gateway
        self.key_id = key_id
        self._headers = bearer(key)

    async def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        url = f"{self.gateway.url}/admin/v1{path}"
        async with self.gateway.session.request(method, url, json=body, headers=self._headers) as response:
            return response.status, await response.json()

    async def trail(self) -> list[tuple[str, str, str]]:
        """Who did what to whom, oldest first."""
        _, listed = await self("GET", "/changes")
        return [(c["actor"], c["action"], c["tenant"]) for c in reversed(listed["data"])]


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    store = {"database_url": sqlite_url(tmp_path / "db")}
    async with behind(tmp_path, Answer(body=completion_body("Paris")), store=store) as (gateway, _):
        key = await with_tenant(gateway, "ops", role=Role.ADMIN)
        yield Admin(gateway, key.text, key.record.key_id)


async def served(admin: Admin, key: str) -> int:
    response, _ = await admin.gateway.post("/v1/chat/completions", HELLO, **bearer(key))
    return response.status


async def test_a_tenant_is_added_changed_removed_and_restored(admin: Admin) -> None:
    code, made = await admin("POST", "/tenants", {"id": "law", "weight": 2, "key": {"name": "app"}})
    key = made["key"]["key"]
    assert (code, made["tenant"]["weight"], await served(admin, key)) == (200, 2.0, 200)
    code, changed = await admin("PUT", "/tenants/law", {"id": "law", "quotas": {"concurrent": 1}})
    assert (code, changed["tenant"]["weight"], changed["tenant"]["quotas"]["concurrent"]) == (200, 1.0, 1)
    assert await admin("GET", "/tenants/law") == (200, changed)
    code, removed = await admin("DELETE", "/tenants/law")
    assert (code, removed["removed_at_s"] is not None, await served(admin, key)) == (200, True, 401)
    assert [t["tenant"]["id"] for t in (await admin("GET", "/tenants"))[1]["data"]] == ["law", "ops"]
    await admin("POST", "/tenants/law/restore")
    assert await served(admin, key) == 200
    assert (await admin.trail())[2:] == [
        (admin.key_id, act, "law") for act in ("add", "add_key", "set", "remove", "restore")
    ]


async def test_keys_are_told_once_rotated_and_revoked(admin: Admin) -> None:
    await admin("POST", "/tenants", {"id": "law"})
    code, made = await admin("POST", "/tenants/law/keys", {"role": "operator", "name": "ci", "expires_in_s": 1000})
    assert (code, made["role"], made["tenant"]) == (200, "operator", "law")
    _, followed = await admin("POST", f"/keys/{made['key_id']}/rotate", {"grace_s": 500})
    assert [await served(admin, key["key"]) for key in (made, followed)] == [200, 200], "both, for the grace period"
    assert followed["key_id"] != made["key_id"]
    assert (await admin("DELETE", f"/keys/{made['key_id']}"))[0] == 200
    assert [await served(admin, key["key"]) for key in (made, followed)] == [401, 200]
    _, listed = await admin("GET", "/tenants/law/keys")
    assert [key["key_id"] for key in listed["data"]] == [made["key_id"], followed["key_id"]]
    told = str(await admin("GET", "/changes")) + str(listed)
    assert not [key for key in (made, followed) if key["key"].rpartition("_")[2] in told]


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "param"),
    [
        ("POST", "/tenants", {"id": "Law"}, 400, "id"),
        ("POST", "/tenants", {"id": "ops"}, 400, None),
        ("POST", "/tenants", {"id": "law", "wieght": 1}, 400, "wieght"),
        ("POST", "/tenants", {"id": "law", "variants": ["nobody"]}, 400, None),
        ("POST", "/tenants", {"id": "law", "key": {"role": "root"}}, 400, "key.role"),
        ("POST", "/tenants", [], 400, None),
        ("PUT", "/tenants/ops", {"id": "law"}, 400, "id"),
        ("PUT", "/tenants/nobody", {"id": "nobody"}, 404, None),
        ("DELETE", "/tenants/nobody", None, 404, None),
        ("POST", "/tenants/nobody/keys", {}, 404, None),
        ("POST", "/tenants/ops/keys", {"expires_in_s": -1}, 400, "expires_in_s"),
        ("DELETE", "/keys/nobody", None, 404, None),
        ("POST", "/keys/nobody/rotate", {}, 404, None),
        ("GET", "/changes?limit=x", None, 400, "limit"),
        ("GET", "/policies/7", None, 404, None),
        ("GET", "/policies/99999999999999999999", None, 404, None),
        ("POST", "/policies/rollback", {"reason": "x"}, 404, None),
        ("POST", "/policies", {"text": "x"}, 400, "reason"),
    ],
)
async def test_what_cannot_be_done_is_told_and_changes_nothing(
    admin: Admin, method: str, path: str, body: Any, code: int, param: str | None
) -> None:
    before = await admin("GET", "/changes")
    found, answer = await admin(method, path, body)
    assert (found, answer["error"]["param"]) == (code, param), answer
    assert await admin("GET", "/changes") == before


async def test_the_first_tenant_over_the_loopback_leaves_its_maker_a_way_in(tmp_path: Path) -> None:
    async with behind(tmp_path, Answer(body=completion_body("Paris"))) as (gateway, _):
        response, body = await gateway.post("/admin/v1/tenants", {"id": "ops", "key": {"role": "caller"}})
        assert (response.status, body["error"]["param"]) == (403, "key.role")
        response, body = await gateway.post("/admin/v1/tenants", {"id": "ops", "key": {"role": "admin"}})
        assert response.status == 200
        assert (await gateway.get("/admin/v1/tenants"))[0].status == 401
        admin = Admin(gateway, body["key"]["key"], body["key"]["key_id"])
        assert (await admin.trail())[0] == ("loopback", "add", "ops")


async def test_a_policy_is_checked_published_and_taken_back_under_the_name_of_a_key(admin: Admin) -> None:
    text, worse = a_document(fallback="[v0]"), a_document(fallback="[v0]", epsilon=0.3)
    assert (await admin("POST", "/policies/validate", {"text": text}))[1]["ok"]
    code, version = await admin("POST", "/policies", {"text": text, "reason": "first"})
    assert (code, version["version"], version["author"]) == (200, 1, admin.key_id)
    policies = admin.gateway.services.policies
    await until(lambda: policies.current.hash == version["hash"], within_s=3)
    code, second = await admin("POST", "/policies", {"text": worse, "reason": "more"})
    assert (code, (await admin("GET", "/policies/2"))[1]["text"]) == (200, worse)
    code, back = await admin("POST", "/policies/rollback", {"reason": "worse"})
    assert (code, back["version"]) == (200, 1)
    _, listed = await admin("GET", "/policies")
    assert [(a["version"], a["author"], a["reason"]) for a in listed["activations"]] == [
        (1, admin.key_id, "first"),
        (2, admin.key_id, "more"),
        (1, admin.key_id, "worse"),
    ]
    assert [v["state"] for v in listed["data"]] == ["published", "retired"]
    assert second["hash"] != version["hash"]


async def test_a_policy_with_errors_is_refused_with_their_lines(admin: Admin) -> None:
    text = a_document(fallback="[nobody]")
    line = next(n for n, found in enumerate(text.splitlines(), 1) if "nobody" in found)
    _, checked = await admin("POST", "/policies/validate", {"text": text})
    errors = [f for f in checked["findings"] if f["severity"] == "error"]
    assert (checked["ok"], [f["line"] for f in errors]) == (False, [line])
    code, refused = await admin("POST", "/policies", {"text": text, "reason": "x"})
    assert (code, refused["error"]["param"], refused["error"]["code"]) == (400, "text", "policy")
    assert f"line {line}" in refused["error"]["message"]
    assert (await admin("GET", "/policies"))[1]["data"] == []


async def test_variants_are_shown_with_how_they_stand(admin: Admin) -> None:
    code, listed = await admin("GET", "/variants")
    assert code == 200
    assert [(v["name"], v["state"], v["in_flight"]) for v in listed["data"]] == [("v0", "warm", 0)]


async def test_a_database_that_refuses_is_told_and_callers_are_still_answered(admin: Admin, tmp_path: Path) -> None:
    _, made = await admin("POST", "/tenants", {"id": "law", "key": {}})
    await asyncio.to_thread(_lose_tenants, sqlite_url(tmp_path / "db"))
    code, refused = await admin("POST", "/tenants", {"id": "more"})
    assert (code, refused["error"]["type"]) == (503, "overloaded")
    assert await served(admin, made["key"]["key"]) == 200


def _lose_tenants(url: str) -> None:
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE tenants RENAME TO away"))
    engine.dispose()
