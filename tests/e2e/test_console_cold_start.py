"""A real worker that has to be started first: whoever looks at the slow requests is told so."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browsers import opened_tab
from tests.serving import CONFIG, Gateway, serving

pytestmark = [pytest.mark.models, pytest.mark.timeout(180)]

COLD = CONFIG.replace("max_running: 8", "max_running: 8, warm: on_demand")


@pytest.fixture
def own_gateway(models_var: Path, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway whose `pruned` variant nobody has asked yet."""
    with serving(models_var, tmp_path, config=COLD) as running:
        running.wait_for("quantized", "warm", timeout_s=60)
        yield running


async def test_the_start_of_a_real_worker_is_blamed_in_the_list_and_on_the_page(own_gateway: Gateway) -> None:
    assert own_gateway.state("pruned") == "cold"
    client = own_gateway.client(timeout=60)

    def ask() -> str:
        raw = client.chat.completions.with_raw_response.create(
            model="pruned",
            messages=[{"role": "user", "content": "What is the capital of Japan?"}],
            max_tokens=4,
            extra_body={"slo": {"latency_s": 0.5}},
        )
        return str(raw.headers["x-request-id"])

    request_id = await asyncio.to_thread(ask)
    async with opened_tab(own_gateway.url) as tab:
        row = tab.page.locator("#requests tbody tr", has_text="load").filter(has_text="pruned")
        async with asyncio.timeout(10):
            while True:  # Traces are written in batches.
                await tab.go("/console/requests")
                if await row.count():
                    break
                await asyncio.sleep(0.2)
        await expect(row).to_contain_text("slow")
        await row.get_by_role("link").press("Enter")
        sentence = re.compile("Slow because pruned was not running, and starting it took .* s of its")
        await expect(tab.page.locator("#headline")).to_have_text(sentence)
        await expect(tab.page.get_by_role("img", name="Waterfall")).to_contain_text("worker.load")
        await expect(tab.page.get_by_text(request_id)).to_be_visible()
    assert (tab.complaints, tab.elsewhere) == ([], [])
