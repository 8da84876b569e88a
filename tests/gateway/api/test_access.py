"""Every route with every role: who is let in is stated here once more, and a route that is not listed fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yarl
from litestar import get

from gateway.tenants.keys import KeyTerms, mint
from gateway.tenants.types import Role
from tests.consoles import CONSOLE_ROUTES, OPEN_ROUTES
from tests.gateways import HELLO, RunningGateway, behind, local, running
from tests.providers import Answer, completion_body
from tests.tenancy import ALICE, bearer, with_tenant

ROLES = ("caller", "operator", "admin")
MATRIX = {
    "open": {
        ("GET", "/livez"),
        ("GET", "/health/liveliness"),
        ("GET", "/readyz"),
        ("GET", "/healthz"),
        ("GET", "/health/readiness"),
        ("GET", "/openapi.json"),
    },
    "caller": {
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/completions"),
        ("POST", "/v1/embeddings"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/{model}"),
        ("POST", "/v1/feedback"),
        ("GET", "/v1/decisions/{decision_id}"),
        ("GET", "/v1/sla"),
    },
    "operator": {
        ("GET", "/admin/v1/policies"),
        ("POST", "/admin/v1/policies"),
        ("GET", "/admin/v1/policies/{version}"),
        ("POST", "/admin/v1/policies/validate"),
        ("POST", "/admin/v1/policies/rollback"),
        ("GET", "/admin/v1/variants"),
        ("GET", "/metrics"),
        ("GET", "/admin/v1/learning"),
        ("GET", "/admin/v1/traces"),
        ("GET", "/admin/v1/traces/{trace}"),
        ("GET", "/admin/v1/tenants/{tenant_id}/sla"),
    },
    "admin": {
        ("GET", "/admin/v1/tenants"),
        ("POST", "/admin/v1/tenants"),
        ("GET", "/admin/v1/tenants/{tenant_id}"),
        ("PUT", "/admin/v1/tenants/{tenant_id}"),
        ("DELETE", "/admin/v1/tenants/{tenant_id}"),
        ("POST", "/admin/v1/tenants/{tenant_id}/restore"),
        ("GET", "/admin/v1/tenants/{tenant_id}/keys"),
        ("POST", "/admin/v1/tenants/{tenant_id}/keys"),
        ("DELETE", "/admin/v1/keys/{key_id}"),
        ("POST", "/admin/v1/keys/{key_id}/rotate"),
        ("GET", "/admin/v1/changes"),
    },
}
"""The least role of every route."""

FILLED = {
    "{tenant_id}": "nobody",
    "{key_id}": "none",
    "{decision_id}": "dec_0",
    "{model}": "auto",
    "{version}": "1",
    "{trace}": "none",
}
REFUSED = {401, 403}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    async with running(tmp_path, local("v")) as found:
        yield found


async def keys_of(gateway: RunningGateway) -> dict[str, str]:
    """A key of each role, and every kind of text that is none."""
    admin = await with_tenant(gateway, "law", role=Role.ADMIN)
    change = gateway.services.directory.change
    others = {
        role: await change(lambda store, r=role: store.keys.add("law", KeyTerms(role=Role(r)), author=ALICE))
        for role in ROLES[:2]
    }
    revoked = await change(lambda store: store.keys.add("law", KeyTerms(role=Role.ADMIN), author=ALICE))
    await change(lambda store: store.keys.revoke(revoked.record.key_id, author=ALICE))
    expired = await change(
        lambda store: store.keys.add("law", KeyTerms(role=Role.ADMIN, expires_in_s=1.0), author=ALICE)
    )
    return {
        "admin": admin.text,
        "caller": others["caller"].text,
        "operator": others["operator"].text,
        "revoked": revoked.text,
        "expired": expired.text,
        "never made": mint()[1],
    }


async def status(gateway: RunningGateway, method: str, path: str, headers: dict[str, str]) -> int:
    for name, value in FILLED.items():
        path = path.replace(name, value)
    async with gateway.session.request(method, f"{gateway.url}{path}", headers=headers, data=b"{") as response:
        return response.status


async def test_every_route_says_its_role_and_is_listed_here(gateway: RunningGateway) -> None:
    routes = {
        (method, route.path_format)
        for route in gateway.server.app.routes
        for method in route.route_handler_map
        if method != "OPTIONS"
    }
    assert routes == set().union(*MATRIX.values(), OPEN_ROUTES, CONSOLE_ROUTES)


@pytest.mark.parametrize("needed", MATRIX)
async def test_every_route_with_every_role(gateway: RunningGateway, needed: str) -> None:
    keys = await keys_of(gateway)
    for method, path in sorted(MATRIX[needed]):
        for who, key in [*keys.items(), ("nobody", None)]:
            answer = await status(gateway, method, path, {} if key is None else bearer(key))
            if needed == "open" or (who in ROLES and ROLES.index(who) >= ROLES.index(needed)):
                assert answer not in REFUSED, (method, path, who)
            else:
                assert answer == (403 if who in ROLES else 401), (method, path, who)


async def test_a_route_that_states_no_role_is_refused_to_everybody(gateway: RunningGateway) -> None:
    @get("/forgotten")
    async def forgotten() -> str:
        """Nobody thought about who may call this."""
        return "secret"

    gateway.server.app.register(forgotten)
    assert await status(gateway, "GET", "/forgotten", {}) == 403, "without tenants too"
    keys = await keys_of(gateway)
    assert {await status(gateway, "GET", "/forgotten", bearer(keys[role])) for role in ROLES} == {403}
    assert await status(gateway, "OPTIONS", "/v1/models", bearer(keys["admin"])) == 403


async def test_no_way_of_writing_a_path_gets_around_the_role(gateway: RunningGateway) -> None:
    keys = await keys_of(gateway)
    headers = bearer(keys["caller"]) | {"Host": "livez"}
    for path in (
        "//admin/v1/tenants",
        "/v1/../admin/v1/tenants",
        "/admin/v1/tenants/",
        "/livez/../admin/v1/tenants",
        "/%61dmin/v1/tenants",
        "/admin/v1/tenants%3f",
    ):
        url = yarl.URL(f"{gateway.url}{path}", encoded=True)
        async with gateway.session.get(url, headers=headers) as response:
            assert response.status in {403, 404}, path


PROVING = (
    {"Authorization": "Bearer {key}"},
    {"Authorization": "bearer   {key} "},
    {"X-Api-Key": "{key}"},
    {"Authorization": "Bearer {key}", "X-Api-Key": "wrong"},
)
ABSURD = (
    {},
    {"Authorization": ""},
    {"Authorization": "Bearer"},
    {"Authorization": "Basic {key}"},
    {"Authorization": "{key}"},
    {"Authorization": "Bearer {key} {key}"},
    {"Authorization": "Bearer wrong", "X-Api-Key": "{key}"},
    {"Authorization": "Bearer {key}' OR '1'='1"},
    {"Authorization": "Bearer ' OR 1=1; DROP TABLE tenant_keys; --"},
    {"Authorization": "Bearer " + "tri_" * 5000},
    {"Authorization": "Bearer \u00e9\u00ff"},
    {"Authorization": "Bearer null"},
    {"Cookie": "key={key}"},
    {"X-Forwarded-For": "127.0.0.1", "X-User": "admin", "X-Tenant": "law", "X-Role": "admin"},
)


async def test_a_key_is_sent_in_one_of_two_headers_and_in_no_other_way(gateway: RunningGateway) -> None:
    key = await with_tenant(gateway, "law", role=Role.ADMIN)
    for expected, ways in ((200, PROVING), (401, ABSURD), (200, PROVING)):
        for headers in ways:
            filled = {name: value.format(key=key.text) for name, value in headers.items()}
            assert await status(gateway, "GET", "/v1/models", filled) == expected, headers


async def test_a_refusal_says_what_to_do_and_shows_no_secret(gateway: RunningGateway) -> None:
    await with_tenant(gateway, "law")
    unknown = mint()[1]
    async with gateway.session.get(f"{gateway.url}/v1/models", headers=bearer(unknown)) as response:
        body = await response.json()
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert body["error"]["type"] == "authentication_error"
    assert "`trilemma tenants keys add TENANT` makes one" in body["error"]["message"]
    assert unknown.rpartition("_")[2] not in body["error"]["message"]


async def test_a_tenant_sees_its_own_decisions_and_an_operator_sees_all(tmp_path: Path) -> None:
    async with behind(tmp_path, Answer(body=completion_body("Paris"))) as (gateway, _):
        law, support = await with_tenant(gateway, "law"), await with_tenant(gateway, "support")
        operator = await with_tenant(gateway, "ops", role=Role.OPERATOR)
        response, _ = await gateway.post("/v1/chat/completions", HELLO, **bearer(law))
        decision = response.headers["X-Trilemma-Decision"]
        path, score = f"/v1/decisions/{decision}", {"decision_id": decision, "score": 0.5}
        expected = {law.text: 200, support.text: 404, operator.text: 200}
        assert {key: await status(gateway, "GET", path, bearer(key)) for key in expected} == expected
        for key, code in expected.items():
            assert (await gateway.post("/v1/feedback", score, **bearer(key)))[0].status == code
        async with gateway.session.get(f"{gateway.url}{path}", headers=bearer(law)) as response:
            record: Any = await response.json()
        assert record["decision"]["tenant"] == "law"


async def test_a_tenant_sees_and_uses_only_the_variants_it_was_given(tmp_path: Path) -> None:
    script = Answer(body=completion_body("Paris"))
    async with behind(tmp_path, script, script, aliases={"both": ["v0", "v1"], "best": ["v0"]}) as (gateway, _):
        key = await with_tenant(gateway, "law", variants=("v1",))
        async with gateway.session.get(f"{gateway.url}/v1/models", headers=bearer(key)) as response:
            listed = (await response.json())["data"]
        assert [model["id"] for model in listed] == ["auto", "both", "v1"]
        assert [m["trilemma"]["variants"] for m in listed[:2]] == [["v1"], ["v1"]]
        assert await status(gateway, "GET", "/v1/models/v0", bearer(key)) == 404
        for model in ("auto", "both", "v1"):
            response, body = await gateway.post("/v1/chat/completions", HELLO | {"model": model}, **bearer(key))
            assert (response.status, body["model"]) == (200, "v1")
        for model in ("v0", "best"):
            response, body = await gateway.post("/v1/chat/completions", HELLO | {"model": model}, **bearer(key))
            assert (response.status, body["error"]["type"], body["error"]["param"]) == (
                403,
                "permission_error",
                "model",
            )
            assert "it may use: v1" in body["error"]["message"]


async def test_the_tier_that_is_served_is_echoed_and_no_higher_than_the_tenants(tmp_path: Path) -> None:
    async with behind(tmp_path, Answer(body=completion_body("Paris"))) as (gateway, _):
        key = await with_tenant(gateway, "law", max_service_tier="default")
        for asked, served in {"priority": "default", "flex": "flex", "auto": "default"}.items():
            body = HELLO | {"service_tier": asked}
            _, answer = await gateway.post("/v1/chat/completions", body, **bearer(key))
            assert answer["service_tier"] == served
