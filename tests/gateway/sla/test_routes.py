"""The report over HTTP: one's own for every caller, anybody's for operators, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.tenants.types import Role
from policies.promises.types import Sla
from tests.gateways import HELLO, RunningGateway, remote, running
from tests.providers import Answer, ScriptedProvider, completion_body
from tests.tenancy import bearer, with_tenant

SLA = Sla(window_s=1e7, mean_quality=0.4, availability=0.9, latency_p95_s=30.0)


@asynccontextmanager
async def gateway_with(directory: Path, *answers: Answer) -> AsyncIterator[RunningGateway]:
    async with ScriptedProvider(*answers) as provider:
        calls = {"max_attempts": 1}
        async with running(directory, remote("only", provider), cache={"exact": False}, calls=calls) as gateway:
            yield gateway


async def get(gateway: RunningGateway, path: str, headers: dict[str, str]) -> tuple[int, Any]:
    async with gateway.session.get(f"{gateway.url}{path}", headers=headers) as response:
        return response.status, await response.json()


async def test_callers_read_their_own_report_and_operators_everybodys(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, Answer(body=completion_body("yes"))) as gateway:
        law = bearer(await with_tenant(gateway, "law", sla=SLA))
        zoo = bearer(await with_tenant(gateway, "zoo", role=Role.OPERATOR))
        for _ in range(3):
            response, _ = await gateway.post("/v1/chat/completions", HELLO, **law)
            assert response.status == 200
        status, own = await get(gateway, "/v1/sla?windows=2", law)
        assert (status, own["tenant"], own["requests"]) == (200, "law", 3)
        assert [(of["promise"], of["now_verdict"]) for of in own["promises"]] == [
            ("latency_p95_s", "kept"),
            ("mean_quality", "kept"),
            ("availability", "kept"),
        ]
        assert all(of["windows"] == ["quiet", "quiet"] for of in own["promises"])
        status, others = await get(gateway, "/admin/v1/tenants/law/sla?windows=2", zoo)
        assert (status, others["promises"], others["requests"]) == (200, own["promises"], 3)
        assert (await get(gateway, "/admin/v1/tenants/zoo/sla", law))[0] == 403
        assert (await get(gateway, "/admin/v1/tenants/nobody/sla", zoo))[0] == 404
        assert (await get(gateway, "/v1/sla", {}))[0] == 401
        assert (await get(gateway, "/v1/sla", zoo))[1]["promises"] == []


@pytest.mark.parametrize("windows", ["0", "-1", "1001", "many", "", "٣", "1e3", "9" * 5000])
async def test_a_number_of_windows_that_is_none_is_refused_by_name(tmp_path: Path, windows: str) -> None:
    async with gateway_with(tmp_path, Answer(body=completion_body("yes"))) as gateway:
        status, body = await get(gateway, f"/v1/sla?windows={windows}", {})
        assert (status, body["error"]["param"]) == (400, "windows")


async def test_what_failed_by_our_doing_counts_and_what_the_caller_got_wrong_does_not(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, Answer(body=completion_body("yes")), Answer(status=500, body=b"{}")) as gateway:
        law = bearer(await with_tenant(gateway, "law", sla=SLA))
        statuses = []
        for body in (HELLO, HELLO, {"messages": []}, HELLO | {"model": "nobody"}, HELLO | {"temperature": 99}):
            response, _ = await gateway.post("/v1/chat/completions", body, **law)
            statuses.append(response.status)
        assert statuses == [200, 502, 400, 404, 400]
        _, own = await get(gateway, "/v1/sla", law)
        availability = own["promises"][-1]
        assert (own["requests"], availability["now"], availability["now_verdict"]) == (2, 0.5, "broken")
        assert availability["budget_left"] == pytest.approx(-4.0), "five times the tenth that may fail"


async def test_answers_given_again_are_answers(tmp_path: Path) -> None:
    async with (
        ScriptedProvider(Answer(body=completion_body("yes"))) as provider,
        running(tmp_path, remote("only", provider, decoding={"temperature": 0})) as gateway,
    ):
        law = bearer(await with_tenant(gateway, "law", sla=SLA))
        hows = []
        for _ in range(3):
            response, _ = await gateway.post("/v1/chat/completions", HELLO | {"temperature": 0}, **law)
            hows.append(response.headers["X-Trilemma-Cache"])
        _, own = await get(gateway, "/v1/sla", law)
    assert hows == ["miss", "exact", "exact"]
    assert len(provider.requests) == 1
    assert (own["requests"], own["running"]["rated"]) == (3, 3)
    assert own["running"]["quality"] == pytest.approx(0.5), "stored with the quality it was predicted with"
