"""A real browser walks from the list of slow requests to the page of one, and asks in the playground."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from gateway.tenants.types import Role
from tests.browsers import opened_tab
from tests.causes import CAUSES, QUICK, SLOW_DECODE, Cause
from tests.gateways import remote, running
from tests.providers import ScriptedProvider
from tests.tenancy import with_tenant

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.stage)
async def test_whoever_is_on_call_finds_what_was_slow_with_the_keyboard_alone(tmp_path: Path, cause: Cause) -> None:
    async with cause.made(tmp_path) as slow, opened_tab(slow.gateway.url) as tab:
        await tab.sign_in(slow.key.text)
        await tab.page.get_by_role("link", name="Slow requests").press("Enter")
        row = tab.page.locator("#requests tbody tr", has_text=cause.stage).filter(has_text="slow").first
        await row.get_by_role("link").press("Enter")
        await expect(tab.page.locator("#headline")).to_have_text(re.compile(cause.sentence))
        waterfall = tab.page.get_by_role("img", name="Waterfall")
        await expect(waterfall).to_be_visible()
        assert await waterfall.locator(".lane-blamed").count() == 1 or cause.stage == "redis"
        await expect(tab.page.locator("#candidates tr.chosen")).to_contain_text("v0")
        await expect(tab.page.get_by_label("Trace id")).to_have_value(re.compile("^[0-9a-f]{32}$"))
    assert (tab.complaints, tab.elsewhere) == ([], [])


async def test_the_playground_streams_all_variants_side_by_side(tmp_path: Path) -> None:
    async with (
        ScriptedProvider(QUICK) as one,
        ScriptedProvider(SLOW_DECODE) as two,
        running(tmp_path, remote("quick", one, quality=0.9), remote("slow", two)) as gateway,
    ):
        key = await with_tenant(gateway, "ops", role=Role.OPERATOR)
        async with opened_tab(gateway.url) as tab:
            await tab.sign_in(key.text, target="/console/playground")
            await tab.page.get_by_label("Prompt").fill("Say <b>hello</b>")
            await tab.page.keyboard.press("Control+Enter")
            slow, quick, auto = (tab.page.locator(f'[data-model="{name}"]') for name in ("slow", "quick", "auto"))
            await expect(slow).to_have_attribute("data-phase", "answering")
            await expect(quick).to_have_attribute("data-phase", "done")
            await expect(slow).to_have_attribute("data-phase", "done")
            await expect(quick.locator("pre")).to_have_text("Hello")
            await expect(slow.locator("pre")).to_have_text("word " * 6)
            await expect(auto.locator("table tr.chosen")).to_contain_text("quick (answered)")
            await expect(tab.page.get_by_role("status")).to_have_text("All have answered.")
            assert await quick.locator('[data-part="cost"]').text_content() == "$0.000013"
        assert (tab.complaints, tab.elsewhere) == ([], [])


async def test_stop_ends_an_answer_at_the_variant_too(tmp_path: Path) -> None:
    endless = SLOW_DECODE.__class__(events=list(SLOW_DECODE.events) * 50, every_s=0.1)
    async with ScriptedProvider(endless) as provider, running(tmp_path, remote("v0", provider)) as gateway:
        async with opened_tab(gateway.url) as tab:
            await tab.go("/console/playground?only=v0")
            await tab.page.get_by_label("Prompt").fill("count")
            await tab.page.get_by_role("button", name="Ask").click()
            column = tab.page.locator('[data-model="v0"]')
            await expect(column).to_have_attribute("data-phase", "answering")
            await tab.page.get_by_role("button", name="Stop").press("Enter")
            await expect(column).to_have_attribute("data-phase", "stopped")
            await tab.page.wait_for_timeout(200)
        assert provider.left == 1


async def test_a_variant_that_fails_says_so_in_its_own_column(tmp_path: Path) -> None:
    broken = SLOW_DECODE.__class__(status=500, body=b"{}")
    async with (
        ScriptedProvider(QUICK) as one,
        ScriptedProvider(broken) as two,
        running(tmp_path, remote("quick", one), remote("broken", two), calls={"max_attempts": 1}) as gateway,
        opened_tab(gateway.url) as tab,
    ):
        await tab.go("/console/playground")
        await tab.page.get_by_label("Prompt").fill("hello")
        await tab.page.keyboard.press("Control+Enter")
        await expect(tab.page.locator('[data-model="broken"]')).to_have_attribute("data-phase", "failed")
        await expect(tab.page.locator('[data-model="broken"] [role="alert"]')).not_to_be_empty()
        await expect(tab.page.locator('[data-model="quick"]')).to_have_attribute("data-phase", "done")


async def test_without_scripts_the_playground_says_what_to_do_instead(tmp_path: Path) -> None:
    async with (
        ScriptedProvider(QUICK) as provider,
        running(tmp_path, remote("v0", provider)) as gateway,
        opened_tab(gateway.url, scripts="off") as tab,
    ):
        await tab.go("/console/playground")
        await expect(tab.page.get_by_text("needs JavaScript")).to_be_visible()
        await expect(tab.page.get_by_label("Prompt")).to_be_hidden()
