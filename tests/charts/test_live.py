"""Every panel of the dashboards shows something once requests have come and gone: a real Prometheus answers it."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from charts.generate.files import CHART
from gateway.tenants.types import Role
from policies.promises.types import Sla
from tests.gateways import HELLO, RunningGateway, behind
from tests.providers import Answer, ScriptedProvider, chat_events, completion_body
from tests.scraping import asked, scraping
from tests.tenancy import bearer, with_tenant

pytestmark = pytest.mark.timeout(120)

CHAT = "/v1/chat/completions"
CHOSEN = {"$__rate_interval": "10s", "$__range": "1m", "$tenant": ".*", "$variant": ".*"}
ELSEWHERE = {
    "Redis",  # There is none here.
    "Memory of workers",  # Of remote variants nobody knows.
    "Cold start",
    "Error budgets",  # A recorded series: the rules are evaluated in `test_alerts.py`.
}


def panels() -> dict[str, list[str]]:
    """Queries by dashboard and title."""
    found: dict[str, list[str]] = {}
    for file in sorted((CHART / "dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            if panel["title"] not in ELSEWHERE:
                found[f"{file.stem}: {panel['title']}"] = [_filled(target["expr"]) for target in panel["targets"]]
    return found


def _filled(query: str) -> str:
    for name, value in CHOSEN.items():
        query = query.replace(name, value)
    return query


async def one_of_each(gateway: RunningGateway, providers: list[ScriptedProvider], headers: dict[str, str]) -> None:
    """An answer, the same out of the cache, a stream, and a failure."""
    body, stream = Answer(body=completion_body("Paris")), Answer(events=chat_events("a", "b"))
    broken = Answer(status=500, body=b"{}")
    for provider in providers:
        provider.script[:] = [body]
    for cached in (False, True):
        await gateway.post(CHAT, HELLO | {"cache": {"mode": "default" if cached else "no-cache"}}, **headers)
    for answer, request in ((stream, HELLO | {"stream": True}), (broken, HELLO)):
        for provider in providers:
            provider.script[:] = [answer]
        async with gateway.session.post(
            f"{gateway.url}{CHAT}", json=request | {"cache": {"mode": "no-cache"}}, headers=headers
        ) as response:
            await response.read()


async def test_no_panel_stays_empty(tmp_path: Path) -> None:
    start = Answer(body=completion_body("Paris"))
    async with behind(tmp_path, start, start) as (gateway, providers):
        sla = Sla(ttft_p95_s=1.0, latency_p95_s=5.0, availability=0.9, window_s=1.0)
        headers = bearer(await with_tenant(gateway, "acme", sla=sla))
        operator = await with_tenant(gateway, "watch", role=Role.OPERATOR)
        target = gateway.url.removeprefix("http://")
        empty = panels()
        async with scraping(tmp_path, target, key=operator.text) as url:
            deadline_s = time.monotonic() + 60
            while empty:
                assert time.monotonic() < deadline_s, sorted(empty)
                await one_of_each(gateway, providers, headers)
                await gateway.services.promise_gauges.refresh()
                await asyncio.sleep(0.5)
                for title in list(empty):
                    found = [await asked(gateway.session, url, query) for query in empty[title]]
                    if all(found):
                        del empty[title]
