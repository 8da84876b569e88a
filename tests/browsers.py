"""A real headless browser on the console, with everything noted that a page must not do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from playwright.async_api import Page, async_playwright

from tests.system_tools import chromium

__all__ = ("Tab", "opened_tab")

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True, kw_only=True)
class Tab:
    """One open page."""

    page: Page
    url: str
    """Of the gateway."""
    complaints: list[str] = field(default_factory=list)
    """Errors of scripts, violations of the content-security policy, files that did not load."""
    elsewhere: list[str] = field(default_factory=list)
    """Addresses on other hosts that were asked for."""

    async def go(self, path: str) -> None:
        """Open a page of the console."""
        await self.page.goto(self.url + path)

    async def sign_in(self, key: str, *, target: str = "/console") -> None:
        """As a person does it, with the keyboard, on the way to a page."""
        await self.go(target)
        await self.page.get_by_label("key", exact=False).first.fill(key)
        await self.page.keyboard.press("Enter")
        await self.page.wait_for_url(self.url + target)


@asynccontextmanager
async def opened_tab(
    url: str, *, scheme: Literal["light", "dark"] = "light", width: int = 1280, scripts: Literal["on", "off"] = "on"
) -> AsyncIterator[Tab]:
    """A browser that has never been anywhere; skips the test where there is none."""
    program = chromium()
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=program, args=[*FLAGS])
        context = await started.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 900}, java_script_enabled=scripts == "on"
        )
        page = await context.new_page()
        tab = Tab(page=page, url=url)
        page.on("console", lambda told: tab.complaints.append(told.text) if told.type == "error" else None)
        page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        here = urlsplit(url).netloc
        page.on(
            "request", lambda asked: tab.elsewhere.append(asked.url) if _host(asked.url) not in {"", here} else None
        )
        try:
            yield tab
        finally:
            await context.close()
            await started.close()


def _host(url: str) -> str:
    parts = urlsplit(url)
    return parts.netloc if parts.scheme in {"http", "https", "ws", "wss"} else ""
