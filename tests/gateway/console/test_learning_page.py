"""The page of learning says what the log says, to people and to scripts, and raises an alarm where it must."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import pytest

from gateway.decisions.write import insert
from gateway.learning.learning_report import LearningReport
from gateway.tenants.types import Role
from policies.evaluation.routed import RoutedRequest
from tests.consoles import browser
from tests.gateways import RunningGateway, local, running
from tests.routed_worlds import routed_world, rows_of
from tests.tenancy import with_tenant

HOSTILE = "<script>alert(1)</script>'\"&"
GOOD = routed_world(1, rows=400, sharpness=30.0).requests
BAD = routed_world(1, rows=400, sharpness=-12.0).requests


async def log(gateway: RunningGateway, requests: list[RoutedRequest], *, prefix: str = "dec") -> None:
    rows = rows_of(requests, ends_s=time.time() - 1, prefix=prefix)
    await asyncio.to_thread(insert, gateway.services.console.engine, rows)


async def test_the_page_shows_the_headline_the_tables_and_what_the_script_draws(tmp_path: Path) -> None:
    async with running(tmp_path, local("v")) as gateway, browser(gateway) as page:
        await log(gateway, GOOD)
        response, html = await page.get("/console/learning?since=24h")
        assert response.status == 200
        assert "better than always <code>large</code>" in html or "as good as always <code>large</code>" in html
        for table in ("fixed", "shares", "predictions", "reliability", "costs"):
            assert f'id="{table}"' in html
        for chart in ("gain", "shares", "reliability", "coverage"):
            assert f'data-draw="{chart}"' in html
        assert "style=" not in html
        response, part = await page.get("/console/learning/report?since=24h")
        assert part.strip().startswith('<section class="learned')


async def test_conditions_narrow_what_is_counted_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    async with running(tmp_path, local("v")) as gateway, browser(gateway) as page:
        await log(gateway, GOOD[:20])
        _, html = await page.get("/console/learning?tenant=zoo&since=6h")
        assert "No request was routed over the last 6 hours." in html
        assert '<option value="zoo" selected>' in html
        response, html = await page.get("/console/learning?since=soon")
        assert response.status == 400
        assert "write 30m, 24h or 7d" in html
        response, _ = await page.get("/console/learning?windows=3")
        assert response.status == 200


async def test_names_are_shown_as_text(tmp_path: Path) -> None:
    hostile = [
        msgspec.structs.replace(
            request,
            choice=HOSTILE if request.choice == "large" else request.choice,
            verdicts=tuple(
                msgspec.structs.replace(v, variant=HOSTILE if v.variant == "large" else v.variant)
                for v in request.verdicts
            ),
        )
        for request in GOOD
    ]
    async with running(tmp_path, local("v")) as gateway, browser(gateway) as page:
        await log(gateway, hostile)
        await gateway.services.learning_gauges.refresh()
        for path in ("/console/learning", "/console", "/console/learning?tenant=%3Cscript%3Ealert(1)"):
            _, html = await page.get(path)
            assert "<script>alert" not in html
            assert "alert(1)</script>" not in html
        assert "&lt;script&gt;alert" in html


async def test_the_overview_leads_to_it_and_an_alarm_says_that_a_fixed_variant_is_better(tmp_path: Path) -> None:
    async with running(tmp_path, local("v")) as gateway, browser(gateway) as page:
        _, html = await page.get("/console")
        assert "counted from a minute after the start on" in html
        await log(gateway, BAD)
        await gateway.services.learning_gauges.refresh()
        _, html = await page.get("/console")
        assert 'href="/console/learning"' in html
        assert "would have been better than routing, with 95 % confidence" in html
        assert "worse than always" in html


async def test_scripts_get_the_same_figures(tmp_path: Path) -> None:
    async with running(tmp_path, local("v")) as gateway:
        await log(gateway, GOOD)
        operator = await with_tenant(gateway, "ops", role=Role.OPERATOR)
        headers = {"Authorization": f"Bearer {operator.text}"}
        url = f"{gateway.url}/admin/v1/learning"
        async with gateway.session.get(f"{url}?since=2d&tenant=law&hint=balanced", headers=headers) as answer:
            assert answer.status == 200
            report = msgspec.convert(await answer.json(), LearningReport)
        assert report.figures.requests == 400
        assert report.query.tenant == "law"
        for wrong, param in (("since=-1", "since"), ("until=3", "until"), ("tenant=%00", "tenant")):
            async with gateway.session.get(f"{url}?{wrong}", headers=headers) as answer:
                assert (answer.status, (await answer.json())["error"]["param"]) == (400, param)


@pytest.mark.parametrize(("requests", "worse"), [(GOOD, 0.0), (BAD, 1.0)], ids=["good", "bad"])
async def test_gauges_follow_the_report(tmp_path: Path, requests: list[RoutedRequest], worse: float) -> None:
    async with running(tmp_path, local("v")) as gateway:
        gauges = gateway.services.learning_gauges
        assert list(gauges.samples()) == []
        await log(gateway, requests)
        await gauges.refresh()
        found = {(name, labels): value for name, labels, value in gauges.samples()}
        assert found["trilemma_routing_worse_than_fixed", ()] == worse
        low, estimate, high = (found["trilemma_routing_gain", (bound,)] for bound in ("low", "estimate", "high"))
        assert low < estimate < high
        assert found["trilemma_exploration_cost_points", ("drawn",)] > 0.0
        async with gateway.session.get(f"{gateway.url}/metrics") as answer:
            assert "trilemma_routing_worse_than_fixed{process=" in await answer.text()
