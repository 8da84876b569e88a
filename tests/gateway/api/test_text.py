"""What no database can hold is refused by name or made storable, on every route and on either database."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yarl

from gateway.tenants.types import Role
from tests.gateways import HELLO, RunningGateway, behind
from tests.providers import Answer, completion_body
from tests.tenancy import bearer, with_tenant

NUL = "\x00"


@pytest.fixture
async def gateway(tmp_path: Path, url: str) -> AsyncIterator[RunningGateway]:
    async with behind(tmp_path, Answer(body=completion_body("Paris")), store={"database_url": url}) as (found, _):
        yield found


async def answered(gateway: RunningGateway, key: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    url, data = yarl.URL(f"{gateway.url}{path}", encoded=True), None if body is None else json.dumps(body)
    async with gateway.session.request(method, url, headers=bearer(key), data=data) as response:
        return response.status, await response.json()


async def test_a_path_with_a_control_character_names_nothing(gateway: RunningGateway) -> None:
    admin = (await with_tenant(gateway, "ops", role=Role.ADMIN)).text
    named = [
        (method, route.path_format)
        for route in gateway.server.app.routes
        if route.path_parameters and not route.path_format.startswith("/console")  # Pages take no key.
        for method in route.route_handler_map
        if method != "OPTIONS"
    ]
    assert len(named) > 10
    for method, path in named:
        for text in ("%00", "a%00b", "%0a", "law%0a", "%1b[2J"):
            parts = [text if part.startswith("{") else part for part in path.split("/")]
            status, body = await answered(gateway, admin, method, "/".join(parts), {})
            assert (status, body["error"]["type"]) in {(404, "not_found"), (404, "model_not_found")}, (method, path)


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/feedback", {"decision_id": f"dec{NUL}", "score": 1}, "decision_id"),
        ("/admin/v1/tenants", {"id": "law\n"}, "id"),
        ("/admin/v1/tenants", {"id": "law", "key": {"name": NUL}}, "key.name"),
        ("/admin/v1/tenants/ops/keys", {"name": f"ci{NUL}"}, "name"),
        ("/admin/v1/tenants/ops/keys", {"name": "\x1b[2J"}, "name"),
        ("/admin/v1/tenants/ops/keys", {"name": "ci\n"}, "name"),
        ("/admin/v1/policies", {"text": NUL, "reason": "x"}, "text"),
        ("/admin/v1/policies", {"text": "x", "reason": NUL}, "reason"),
        ("/admin/v1/policies/rollback", {"reason": NUL}, "reason"),
    ],
)
async def test_a_name_that_cannot_be_kept_is_refused_by_its_field(
    gateway: RunningGateway, path: str, body: Any, param: str
) -> None:
    admin = (await with_tenant(gateway, "ops", role=Role.ADMIN)).text
    status, answer = await answered(gateway, admin, "POST", path, body)
    assert (status, answer["error"]["param"]) == (400, param)


async def test_whatever_a_caller_writes_into_the_log_is_kept(gateway: RunningGateway) -> None:
    key = (await with_tenant(gateway, "law")).text
    check = {"type": "exact", "answer": "Paris", "name": f"ri{NUL}ght"}
    asked = HELLO | {"metadata": {f"t{NUL}": NUL}, "checks": [check]}
    response, _ = await gateway.post("/v1/chat/completions", asked, **bearer(key))
    assert response.status == 200
    judged = {"decision_id": response.headers["X-Trilemma-Decision"], "score": 1, "name": f"n{NUL}", "comment": NUL}
    assert (await gateway.post("/v1/feedback", judged, **bearer(key)))[0].status == 200
    await gateway.services.log.flush()
    assert gateway.services.log.stats.refused == 0
    _, record = await answered(gateway, key, "GET", f"/v1/decisions/{judged['decision_id']}")
    assert record["decision"]["tags"] == {f"t{NUL}": NUL}
    assert [(o["name"], o["comment"]) for o in record["observations"] if o["source"] == "feedback"] == [
        ("n\ufffd", "\ufffd")
    ]
