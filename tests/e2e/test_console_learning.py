"""A real browser on the page of learning: every chart is drawn under the page's policy, and is drawn anew."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from playwright.async_api import expect

from gateway.decisions.write import insert
from gateway.tenants.types import Role
from tests.browsers import opened_tab
from tests.gateways import RunningGateway, local, running
from tests.routed_worlds import routed_world, rows_of
from tests.tenancy import with_tenant

pytestmark = pytest.mark.timeout(60)


async def log(gateway: RunningGateway) -> None:
    rows = rows_of(routed_world(1, rows=600, sharpness=30.0).requests, ends_s=time.time() - 1)
    await asyncio.to_thread(insert, gateway.services.console.engine, rows)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_charts_are_drawn_and_the_figures_are_found_by_keyboard(tmp_path: Path, scheme: str) -> None:
    async with running(tmp_path, local("v")) as gateway:
        key = await with_tenant(gateway, "ops", role=Role.OPERATOR)
        await log(gateway)
        async with opened_tab(gateway.url, scheme="dark" if scheme == "dark" else "light") as tab:
            await tab.sign_in(key.text)
            await tab.page.get_by_role("link", name="See it learn").press("Enter")
            await expect(tab.page.locator("#headline")).to_contain_text("always large")
            await expect(tab.page.locator('[data-draw="gain"] .scatterlayer .point')).to_have_count(12)
            await expect(tab.page.locator('[data-draw="shares"] .barlayer .trace')).to_have_count(3)
            await expect(tab.page.locator('[data-draw="reliability"] .scatterlayer .trace')).to_have_count(4)
            await expect(tab.page.locator('[data-draw="coverage"] .scatterlayer .point')).to_have_count(6)
            await tab.page.get_by_label("Tenant", exact=True).select_option("ops")
            await tab.page.get_by_role("button", name="Show").press("Enter")
            await expect(tab.page.locator("#headline")).to_contain_text("No request was routed")
        assert (tab.complaints, tab.elsewhere) == ([], [])


async def test_what_is_fetched_anew_is_drawn_anew(tmp_path: Path) -> None:
    async with running(tmp_path, local("v")) as gateway, opened_tab(gateway.url) as tab:
        await tab.go("/console/learning?since=7d")
        await expect(tab.page.locator("#headline")).to_contain_text("No request was routed")
        await log(gateway)
        # The first look is kept for a while, so another period is what the page asks for next.
        await tab.page.evaluate(
            "() => { document.getElementById('report').dataset.refresh = '/console/learning/report?since=30d' }"
        )
        await expect(tab.page.locator('[data-draw="shares"] .barlayer .trace')).to_have_count(3, timeout=30_000)
        assert (tab.complaints, tab.elsewhere) == ([], [])


async def test_without_scripts_the_tables_say_the_same(tmp_path: Path) -> None:
    async with running(tmp_path, local("v")) as gateway, opened_tab(gateway.url, scripts="off") as tab:
        await log(gateway)
        await tab.go("/console/learning?since=7d")
        await expect(tab.page.locator("#fixed tbody tr")).to_have_count(3)
        await expect(tab.page.locator("#predictions tbody tr")).to_have_count(3)
