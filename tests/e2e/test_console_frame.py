"""A real browser signs in, finds its way with the keyboard, sees the overview draw, starts and stops a variant."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.async_api import Locator, expect

from backends.types import LoadReport, VariantStatus, WorkerState
from gateway.tenants.types import Role
from tests.browsers import opened_tab
from tests.decision_rows import decision, outcome
from tests.gateways import Fleet, RunningGateway, local, running
from tests.tenancy import with_tenant

pytestmark = pytest.mark.timeout(60)

COLD = VariantStatus(name="v", state=WorkerState.COLD)
WARM = VariantStatus(
    name="v", state=WorkerState.WARM, socket_path="/tmp/none", load=LoadReport(state=WorkerState.WARM, max_running=16)
)
PLACES = ("requests", "learning", "variants", "tenants", "policies", "playground")
PAGES = ("/console", *(f"/console/{place}" for place in PLACES))


async def log(gateway: RunningGateway) -> None:
    for number in range(40):
        name, at_s = f"d{number}", time.time() - 3 - number
        gateway.services.log.record(decision(name, created_at_s=at_s, tenant="law", choice="v"))
        gateway.services.log.record(outcome(name, variant="v", ended_at_s=at_s + 1, quality=0.8))
    await gateway.services.log.flush()


async def focused(tab_page: Locator) -> str:
    return str(await tab_page.evaluate("() => document.activeElement.textContent.trim()"))


async def test_a_person_signs_in_on_the_way_to_a_page_and_out_again(tmp_path: Path) -> None:
    async with running(tmp_path, local("v")) as gateway:
        key = await with_tenant(gateway, "ops", role=Role.OPERATOR)
        async with opened_tab(gateway.url) as tab:
            await tab.sign_in(key.text, target="/console/tenants")
            await expect(tab.page.get_by_role("heading", level=1)).to_have_text("Tenants")
            await tab.page.keyboard.press("Tab")
            assert await focused(tab.page.locator("body")) == "Skip to the content"
            await tab.page.keyboard.press("Enter")
            assert await tab.page.evaluate("() => document.activeElement.id") == "main"
            await tab.page.get_by_role("button", name="Sign out").press("Enter")
            await tab.page.wait_for_url("**/console/login")
            await tab.go("/console/tenants")
            await expect(tab.page.get_by_label("API key")).to_be_focused()
            await tab.page.go_back()
            await expect(tab.page.get_by_label("API key")).to_be_visible()
        assert (tab.complaints, tab.elsewhere) == ([], [])


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_has_names_for_its_parts_and_fits_a_narrow_screen(tmp_path: Path, scheme: str) -> None:
    async with running(tmp_path, local("v"), fleet=Fleet(states={"v": WARM})) as gateway:
        key = await with_tenant(gateway, "ops", role=Role.OPERATOR)
        await log(gateway)
        async with opened_tab(gateway.url, scheme="dark" if scheme == "dark" else "light", width=400) as tab:
            await tab.sign_in(key.text)
            for path in PAGES:
                await tab.go(path)
                await expect(tab.page.get_by_role("main")).to_be_visible()
                await expect(tab.page.get_by_role("navigation", name="Console")).to_be_visible()
                assert await tab.page.locator("h1").count() == 1, path
                assert await tab.page.locator("nav [aria-current=page]").count() >= 1, path
                assert await tab.page.evaluate(NAMELESS) == [], path
                assert await tab.page.evaluate("() => document.documentElement.scrollWidth") <= 400, path
        assert (tab.complaints, tab.elsewhere) == ([], [])


NAMELESS = """() => {
  const seen = (part) => part.checkVisibility();
  const fields = [...document.querySelectorAll("input:not([type=hidden]), select, textarea")].filter(seen);
  const tables = [...document.querySelectorAll("table")].filter((table) => seen(table) && !table.caption);
  const images = [...document.querySelectorAll("img:not([alt]), [role=img]:not([aria-label])")];
  const presses = [...document.querySelectorAll("button, a[href]")].filter(seen);
  const silent = presses.filter((part) => !part.innerText.trim());
  const unnamed = fields.filter((field) => !field.labels.length);
  return [...unnamed, ...tables, ...images, ...silent].map((part) => part.outerHTML);
}"""


async def test_the_overview_draws_under_its_policy_and_renews_itself_until_paused(tmp_path: Path) -> None:
    async with running(tmp_path, local("v"), fleet=Fleet(states={"v": WARM})) as gateway:
        key = await with_tenant(gateway, "ops", role=Role.OPERATOR)
        async with opened_tab(gateway.url) as tab:
            await tab.sign_in(key.text)
            await expect(tab.page.locator("#frontier .scatterlayer .point")).to_have_count(1)
            await expect(tab.page.locator("#tiles")).to_contain_text("0 requests in 5 min")
            await log(gateway)
            await expect(tab.page.locator("#tiles")).to_contain_text("40 requests in 5 min", timeout=10_000)
            await tab.page.get_by_role("button", name="Pause updates").press("Enter")
            await expect(tab.page.get_by_role("status")).to_have_text("Updates are paused")
            await tab.page.get_by_role("link", name="By latency").press("Enter")
            await expect(tab.page.locator("#frontier .xtitle")).to_have_text("Latency of a request, s")
        assert (tab.complaints, tab.elsewhere) == ([], [])


async def test_without_scripts_the_pages_say_the_same(tmp_path: Path) -> None:
    async with running(tmp_path, local("v"), fleet=Fleet(states={"v": WARM})) as gateway:
        await log(gateway)
        async with opened_tab(gateway.url, scripts="off") as tab:
            await tab.go("/console")
            await expect(tab.page.locator("#frontier-table tbody tr")).to_have_count(2)
            await expect(tab.page.locator("#tiles")).to_contain_text("40 requests in 5 min")


async def test_a_variant_is_started_and_after_a_question_stopped(tmp_path: Path) -> None:
    fleet = Fleet(states={"v": COLD}, starts={"v": WARM})
    async with running(tmp_path, local("v"), fleet=fleet) as gateway:
        key = await with_tenant(gateway, "ops", role=Role.OPERATOR)
        async with opened_tab(gateway.url) as tab:
            await tab.sign_in(key.text, target="/console/variants")
            await tab.page.get_by_role("button", name="Start v").press("Enter")
            await expect(tab.page.get_by_text("v is being started")).to_be_visible()
            await expect(tab.page.locator("#v .badge")).to_have_text("warm", timeout=10_000)
            await tab.page.get_by_role("link", name="Stop… v").press("Enter")
            await tab.page.get_by_role("button", name="Stop it").press("Enter")
            await expect(tab.page.get_by_text("v was stopped")).to_be_visible()
            assert fleet.states["v"].state is WorkerState.COLD
        assert (tab.complaints, tab.elsewhere) == ([], [])


async def test_a_link_on_another_site_leads_to_its_page_though_the_cookie_is_strict(tmp_path: Path) -> None:
    async with running(tmp_path, local("v")) as gateway:
        key = await with_tenant(gateway, "ops", role=Role.OPERATOR)
        async with opened_tab(gateway.url) as tab:
            await tab.sign_in(key.text)
            page = f'<a href="{gateway.url}/console/tenants/ops">Look</a>'
            await tab.page.route(
                "https://elsewhere.example/", lambda r: r.fulfill(body=page, content_type="text/html")
            )
            await tab.page.goto("https://elsewhere.example/")
            await tab.page.get_by_role("link", name="Look").click()
            await expect(tab.page.get_by_role("heading", level=1)).to_have_text("ops")
