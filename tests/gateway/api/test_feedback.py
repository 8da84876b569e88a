"""Judging answers: how often a tenant may, and that judging again changes one row instead of adding another."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.tenants.types import Quotas
from tests.gateways import HELLO, RunningGateway, behind
from tests.providers import Answer, completion_body
from tests.tenancy import bearer, with_tenant

PARIS = Answer(body=completion_body("Paris"))


async def judged(gateway: RunningGateway, headers: dict[str, str], body: Any) -> tuple[int, Mapping[str, str], Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with gateway.session.post(f"{gateway.url}/v1/feedback", data=data, headers=headers) as reply:
        return reply.status, reply.headers, json.loads(await reply.read())


async def decided(gateway: RunningGateway, headers: dict[str, str]) -> str:
    url = f"{gateway.url}/v1/chat/completions"
    asked = HELLO | {"cache": {"mode": "no-store"}}
    async with gateway.session.post(url, json=asked, headers=headers) as reply:
        assert reply.status == 200
        return reply.headers["x-trilemma-decision"]


async def test_three_hundred_judgements_of_two_answers_are_two_rows(tmp_path: Path) -> None:
    """They moved another tenant from 27 of 30 requests on the good variant to 29 of 30 on the bad one."""
    async with behind(tmp_path, PARIS) as (gateway, _):
        key = bearer(await with_tenant(gateway, "shop"))
        names = [await decided(gateway, key) for _ in range(2)]
        for number in range(300):
            body = {"decision_id": names[number % 2], "score": number / 300, "name": f"name{number % 7}"}
            assert (await judged(gateway, key, body))[0] == 200
        for number, name in enumerate(names):
            async with gateway.session.get(f"{gateway.url}/v1/decisions/{name}", headers=key) as reply:
                [row] = (await reply.json())["observations"]
            assert (row["source"], row["score"]) == ("feedback", (298 + number) / 300)


async def test_feedback_is_under_a_quota_whatever_its_body(tmp_path: Path) -> None:
    async with behind(tmp_path, PARIS) as (gateway, _):
        key = bearer(await with_tenant(gateway, "shop", quotas=Quotas(requests_per_min=50, feedback_per_min=3)))
        name = await decided(gateway, key)
        bodies = [{"decision_id": name, "score": 1}, b"{", {"decision_id": "dec_none", "score": 1}, b"{", b"{"]
        replies = [await judged(gateway, key, body) for body in bodies]
        assert [status for status, _, _ in replies] == [200, 400, 404, 429, 429]
        _, headers, answer = replies[3]
        assert answer["error"]["type"] == "rate_limit_exceeded"
        assert answer["error"]["code"] == "feedback_quota"
        assert int(headers["Retry-After"]) > 0
        assert headers["X-RateLimit-Limit-Requests"] == "3"
        assert replies[0][1]["X-RateLimit-Remaining-Requests"] == "2"
        await decided(gateway, key)  # Requests are counted apart.


async def test_look_ups_of_decisions_and_reports_are_bounded_too(tmp_path: Path) -> None:
    async with behind(tmp_path, PARIS) as (gateway, _):
        key = bearer(await with_tenant(gateway, "shop", quotas=Quotas(requests_per_min=3)))
        statuses = Counter[int]()
        for path in ("/v1/decisions/dec_none", "/v1/sla") * 3:
            async with gateway.session.get(f"{gateway.url}{path}", headers=key) as reply:
                statuses[reply.status] += 1
        assert statuses == {404: 2, 200: 1, 429: 3}
