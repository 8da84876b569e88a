"""The pages of the policies: what decides, since when and by whom, and what it changed."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from gateway.policyops.publish import publish
from gateway.policyops.types import Version
from gateway.services import Services
from tests.consoles import browser
from tests.gateways import HELLO, behind, local, running, until
from tests.policy_documents import a_document
from tests.providers import Answer, completion_body

PARIS = Answer(body=completion_body("Paris"))
HOSTILE = "<script>alert(1)</script>"


def put_in_force(services: Services, *, epsilon: float, remark: str) -> Version:
    text = f"{a_document(epsilon=epsilon, fallback='[v]')}# {remark}\n"
    known, now_s = services.known(), services.clock.wall_s()
    reason = f"explore {epsilon}"
    version, _ = publish(
        services.policy_store, text, known=known, source_name="t", author="ada", reason=reason, now_s=now_s
    )
    return version


async def test_before_anything_is_published_the_configuration_s_policy_is_shown(tmp_path: Path) -> None:
    async with running(tmp_path, local("v")) as gateway, browser(gateway) as page:
        _, html = await page.get("/console/policies")
        [address] = re.findall(r'href="(/console/policies/[0-9a-f]+)"', html)
        response, html = await page.get(address)
        assert response.status == 200
        assert "The configuration&#39;s policy" in html
        assert "epsilon: 0.0" in html
        assert "those in force" in html
        assert "<dt>Hint balanced</dt>" in html
        assert "50 % of the price that makes the cheapest variant and the best one equals" in html


async def test_a_version_says_who_put_it_in_force_and_what_it_changed(tmp_path: Path) -> None:
    async with running(tmp_path, local("v")) as gateway, browser(gateway) as page:
        services = gateway.services
        for epsilon in (0.1, 0.2):
            latest = await asyncio.to_thread(
                put_in_force, services, epsilon=epsilon, remark="<script>alert(1)</script>"
            )
        _, html = await page.get("/console/policies")
        assert html.index(">explore 0.2<") < html.index(">explore 0.1<")
        assert html.count("<td>those in force</td>") == 2
        await until(lambda: services.policies.current.hash == latest.hash)
        for name in (latest.hash, str(latest.version)):
            _, html = await page.get(f"/console/policies/{name}")
            assert '<span class="badge badge-good">decides</span>' in html
            assert '<span class="line-removed">-exploration: {epsilon: 0.1}</span>' in html
            assert '<span class="line-added">+exploration: {epsilon: 0.2}</span>' in html
            assert "alert(1)</script>" not in html
        _, html = await page.get("/console/policies/1")
        assert '<span class="badge">retired</span>' in html


async def test_the_page_of_a_request_leads_to_the_policy_that_decided(tmp_path: Path) -> None:
    async with behind(tmp_path, PARIS, telemetry={"traces": {"sample": 1.0}}) as (gateway, _):
        response, _ = await gateway.post("/v1/chat/completions", HELLO)
        await gateway.reported()
        async with browser(gateway) as page:
            _, html = await page.get(f"/console/requests/{response.headers['x-request-id']}")
            [address] = re.findall(r'href="(/console/policies/[0-9a-f]+)"', html)
            assert (await page.get(address))[0].status == 200


async def test_what_goes_by_no_such_name_is_not_found(tmp_path: Path) -> None:
    async with running(tmp_path, local("v")) as gateway, browser(gateway) as page:
        response, html = await page.get("/console/policies/7")
        assert response.status == 404
        assert "no version of the policy goes by" in html
