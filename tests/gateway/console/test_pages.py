"""Pages are complete for an empty gateway and a busy one, and nothing that is shown is taken for a part of a page."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import sqlalchemy as sa

from backends.errors import OverloadedError
from backends.models.manifest import Conditions, TaskScore
from backends.types import LoadReport, Variant, VariantStatus, WorkerState
from gateway.api.models import described
from gateway.console.render import environment
from gateway.console.sessions import console_sessions
from gateway.console.variant_views import variant_card
from gateway.decisions.types import Ending
from gateway.routing.catalogue import VariantView
from gateway.tenants.types import Quotas, Spend
from policies.promises.types import Sla
from tests.consoles import browser, signed_in
from tests.decision_rows import decision, outcome
from tests.gateways import CARD, Fleet, RunningGateway, local, running, until
from tests.tenancy import with_tenant

PROMISED = Sla(window_s=3600, latency_p95_s=0.5, availability=0.99)
PAGES = ("/console", "/console/learning", "/console/variants", "/console/tenants", "/console/policies")
HOSTILE = "<script>alert(1)</script>'\"&"


def warm(name: str) -> VariantStatus:
    report = LoadReport(state=WorkerState.WARM, running=3, queued=2, max_running=16, tokens_per_s=120.0)
    return VariantStatus(name=name, state=WorkerState.WARM, socket_path="/tmp/none", load=report)


async def log(gateway: RunningGateway, *, count: int, tenant: str = "default", **changes: object) -> None:
    services, now_s = gateway.services, time.time()
    for number in range(count):
        name = f"{tenant}_{number}"
        services.log.record(decision(name, created_at_s=now_s - 5 - number, tenant=tenant, choice="v"))
        plain = {
            "variant": "v",
            "latency_s": 1.0,
            "cost_usd": 0.001,
            "quality": 0.8,
            "ended_at_s": now_s - 4 - number,
        }
        services.log.record(outcome(name, **(plain | changes)))
    await services.log.flush()


async def test_an_empty_gateway_shows_every_page(tmp_path: Path) -> None:
    async with running(tmp_path, local("v")) as gateway, browser(gateway) as page:
        for path in (*PAGES, "/console/tenants/default", "/console/overview/live", "/console/variants/list"):
            response, html = await page.get(path)
            assert response.status == 200, html
        _, html = await page.get("/console")
        assert "No variant can answer" in html
        assert "No tenant was promised anything" in html


async def test_a_busy_gateway_tells_what_goes_on(tmp_path: Path) -> None:
    fleet = Fleet(states={"v": warm("v")})
    async with running(tmp_path, local("v"), fleet=fleet) as gateway:
        await with_tenant(gateway, "law", sla=PROMISED, budget=Spend(usd=5.0), quotas=Quotas(requests_per_min=60))
        await log(gateway, count=30, tenant="law")
        await log(gateway, count=10, tenant="other", ending=Ending.FAILED, error_type="upstream_error")
        await gateway.services.promise_gauges.refresh()
        await until(lambda: gateway.services.catalogue.view("v").status.load is not None)
        async with signed_in(gateway) as page:
            _, html = await page.get("/console")
            assert "40 requests in 5 min" in html
            assert ">25 %<" in html, "the share of errors"
            assert "Tenant <code>law</code> uses up what may go wrong" in html
            assert "30 answers" in html
            _, html = await page.get("/console/tenants/law?windows=96")
            assert "p95 latency" in html
            assert "$5.00" in html
            _, html = await page.get("/console/tenants")
            assert (
                "1 of 2 promises missed" in html
                or "not counted" in html
                or ">kept<" in html
                or "no requests yet" in html
            )
            _, html = await page.get("/console/variants")
            assert "3 of 16 places" in html
            assert "120 tokens/s" in html


async def test_names_messages_and_addresses_are_shown_as_text(tmp_path: Path) -> None:
    status = VariantStatus(name="v", state=WorkerState.FAILED, message=HOSTILE)
    async with running(tmp_path, local("v"), fleet=Fleet(states={"v": status})) as gateway, browser(gateway) as page:
        await log(gateway, count=1, tenant=HOSTILE)
        await until(lambda: gateway.services.catalogue.view("v").status.message != "")
        paths = (
            *PAGES,
            f"/console/variants?starting={HOSTILE}",
            f"/console/tenants/{HOSTILE.replace('/', '')}",
            f"/console/tenants/nobody?{HOSTILE}",
        )
        for path in paths:
            _, html = await page.get(path)
            assert "<script>alert" not in html, path
            assert "alert(1)</script>" not in html, path
        _, html = await page.get("/console/variants")
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


async def test_an_unknown_page_says_so_to_people_and_in_json_to_programs(tmp_path: Path) -> None:
    async with running(tmp_path, local("v")) as gateway, browser(gateway) as page:
        response, html = await page.get("/console/tenants/nobody")
        assert (response.status, response.content_type) == (404, "text/html")
        assert "<h1" in html
        response, text = await page.get("/console/tenants/nobody", Accept="*/*")
        assert (response.status, response.content_type) == (404, "application/json")
        assert '"not_found"' in text


async def test_variants_are_started_and_stopped_by_buttons(tmp_path: Path) -> None:
    cold = VariantStatus(name="v", state=WorkerState.COLD)
    fleet = Fleet(states={"v": cold}, starts={"v": warm("v")})
    async with running(tmp_path, local("v"), fleet=fleet) as gateway:
        await until(lambda: gateway.services.catalogue.view("v").status.state is WorkerState.COLD)
        async with signed_in(gateway) as page:
            token = await page.form_token("/console/variants")
            response, _ = await page.post("/console/variants/v/start", {"csrf": token})
            assert (response.status, response.headers["Location"]) == (303, "/console/variants?starting=v#v")
            await until(lambda: fleet.asked == ["v"])
            _, html = await page.get("/console/variants?starting=v")
            assert "<code>v</code> is being started" in html
            _, html = await page.get("/console/variants/v/stop")
            assert "Stop v?" in html
            response, _ = await page.post("/console/variants/v/stop", {"csrf": token})
            assert response.headers["Location"] == "/console/variants?stopped=v#v"
            assert fleet.states["v"].state is WorkerState.COLD
            response, html = await page.post("/console/variants/v/stop", {"csrf": token})
            assert (response.status, "nothing to stop" in html) == (400, True)
            assert (await page.post("/console/variants/w/start", {"csrf": token}))[0].status == 404


async def test_a_supervisor_that_cannot_is_reported(tmp_path: Path) -> None:
    class Stubborn(Fleet):
        async def rest(self, name: str) -> VariantStatus:
            raise OverloadedError("it hangs")

    async with running(tmp_path, local("v"), fleet=Stubborn(states={"v": warm("v")})) as gateway:
        await until(lambda: gateway.services.catalogue.view("v").status.state is WorkerState.WARM)
        async with signed_in(gateway) as page:
            token = await page.form_token("/console/variants")
            response, html = await page.post("/console/variants/v/stop", {"csrf": token})
            assert response.status == 503
            assert "it hangs" in html


async def test_an_open_page_alone_keeps_no_session_alive(tmp_path: Path) -> None:
    async with running(tmp_path, local("v")) as gateway, signed_in(gateway) as page:
        engine, minutes_ago_s = gateway.services.console.engine, time.time() - 600

        def age() -> None:
            with engine.begin() as connection:
                connection.execute(console_sessions.update().values(seen_at_s=minutes_ago_s))

        def seen_at_s() -> float | None:
            with engine.connect() as connection:
                return connection.scalar(sa.select(console_sessions.c.seen_at_s))

        await asyncio.to_thread(age)
        for path in ("/console/overview/live", "/console/overview/frontier", "/console/variants/list"):
            assert (await page.get(path))[0].status == 200
        assert await asyncio.to_thread(seen_at_s) == minutes_ago_s
        assert (await page.get("/console"))[0].status == 200
        assert (await asyncio.to_thread(seen_at_s) or 0) > minutes_ago_s + 500


def test_a_card_of_a_busy_machine_says_so_on_the_page_and_to_programs() -> None:
    for busy in (False, True):
        conditions = Conditions(busy=busy, others_cpu=0.4, stolen_cpu=0.0, spread=0.3)
        variant, card = msgspec.convert(local("v"), Variant), msgspec.structs.replace(CARD, conditions=conditions)
        view = VariantView(variant=variant, status=warm("v"), card=card)
        always = {"csrf": "0", "cards": [variant_card(view, None)], "who": None}
        html = environment().get_template("variants_list.html").render(always)
        assert ("Measured while the machine was busy: others took 40" in html) is busy
        assert described(view)["card"]["conditions"]["busy"] is busy


def test_a_card_tells_how_a_variant_measured() -> None:
    variant = msgspec.convert(local("v"), Variant)
    measured = msgspec.structs.replace(CARD, tasks={HOSTILE: TaskScore(correct=3, total=4)})
    view = VariantView(variant=variant, status=warm("v"), card=measured, shut_s=2.5)
    card = variant_card(view, None)
    always = {"csrf": "0", "cards": [card], "who": None}
    html = environment().get_template("variants_list.html").render(always)
    for text in ("0.75 ± 0.04", "100 ms", "100 tokens/s", "3.0 s", "3 of 4", "tried again in 2.5 s", "open"):
        assert text in html, text
    assert "<script>" not in html
