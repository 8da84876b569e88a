"""A real Prometheus scrapes the gateway, and its own checker takes what is exposed."""

from __future__ import annotations

import asyncio
import subprocess
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.chaos_tools import background, config_over, until_true
from tests.gateways import HELLO, behind
from tests.providers import Answer, completion_body
from tests.scraping import asked, scraping
from tests.serving import serving
from tests.system_tools import promtool

pytestmark = pytest.mark.timeout(120)

CHAT = "/v1/chat/completions"
PARIS = Answer(body=completion_body("Paris"))


async def test_promtool_finds_nothing_wrong_with_what_is_exposed(tmp_path: Path) -> None:
    tool = promtool()
    async with behind(tmp_path, PARIS) as (gateway, _):
        await gateway.post(CHAT, HELLO)
        async with gateway.session.get(f"{gateway.url}/metrics") as response:
            text = await response.read()
    done = subprocess.run([tool, "check", "metrics"], input=text, capture_output=True, check=False)
    # It also advises on names; those of GenAI's convention are not ours to choose.
    advice = [line for line in done.stderr.decode().splitlines() if line and not line.startswith("gen_ai_")]
    assert advice == []


async def test_a_real_prometheus_scrapes_and_answers_from_it(tmp_path: Path) -> None:
    async with behind(tmp_path, PARIS, PARIS) as (gateway, _):
        for _ in range(3):
            await gateway.post(CHAT, HELLO)
        async with scraping(tmp_path, gateway.url.removeprefix("http://")) as url, asyncio.timeout(60):
            query = 'sum(trilemma_requests_total{ending="done"})'
            while not (found := await asked(gateway.session, url, query)):
                await asyncio.sleep(0.3)
            assert float(found[0]["value"][1]) == 3
            [up] = await asked(gateway.session, url, "up")
            assert up["value"][1] == "1"
            quantile = "histogram_quantile(0.95, sum by (le) (trilemma_request_duration_seconds_bucket))"
            [p95] = await asked(gateway.session, url, quantile)
            assert 0 < float(p95["value"][1]) < 5


def test_one_scrape_tells_of_all_processes_that_share_the_port(tmp_path: Path) -> None:
    with background(PARIS) as provider:
        config = config_over(provider, more="server: {workers: 2}")
        with serving(tmp_path / "no-models", tmp_path / "var", config=config) as running:
            accept = {"Accept": "application/openmetrics-text; version=1.0.0"}

            def seen() -> set[str]:
                request = urllib.request.Request(f"{running.url}/metrics", headers=accept)
                with urllib.request.urlopen(request, timeout=10) as reply:
                    families = {f.name: f for f in text_string_to_metric_families(reply.read().decode())}
                return {sample.labels["process"] for sample in families["trilemma_build_info"].samples}

            until_true(lambda: seen() == {"api-1", "api-2"}, within_s=30)  # One is up before the other.
