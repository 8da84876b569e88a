"""Requests that are made slow in four ways: the list and the page blame what was slow, each in its own words."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.types import VariantStatus, WorkerState
from tests.gateways import HELLO, USAGE_EVENT, Fleet, RunningGateway, local, remote, running
from tests.providers import Answer, ScriptedProvider, chat_events
from tests.redis_server import redis_server, slow_way

ALL = {"telemetry": {"traces": {"sample": 1.0}}}
QUICK = Answer(events=[*chat_events("Hel", "lo"), USAGE_EVENT])
SLOW_DECODE = Answer(events=[*chat_events(*["word "] * 6), USAGE_EVENT], every_s=0.1)


@dataclass
class SlowFleet(Fleet):
    """A supervisor whose variants take a while to start."""

    start_s: float = 0.5

    async def ensure(self, name: str) -> VariantStatus:
        await asyncio.sleep(self.start_s)
        return await super().ensure(name)


async def stream(gateway: RunningGateway, **fields: Any) -> str:
    """The decision of a streamed answer."""
    body = HELLO | {"stream": True} | fields
    async with gateway.session.post(f"{gateway.url}/v1/chat/completions", json=body) as response:
        await response.read()
        assert response.status == 200
        return str(response.headers["x-trilemma-decision"])


async def told(gateway: RunningGateway, decision: str) -> tuple[str, str]:
    """What the list blames, and the first sentence of the page that it leads to."""
    async with asyncio.timeout(3):
        while True:
            await asyncio.gather(gateway.services.tracing.traces.flush(), gateway.services.log.flush())
            async with gateway.session.get(f"{gateway.url}/console/requests/{decision}") as response:
                page = await response.text()
            if response.status == 200:
                break
            await asyncio.sleep(0.02)
    [span_id] = set(re.findall(r'aria-current="page">([0-9a-f]{16})<', page))
    async with gateway.session.get(f"{gateway.url}/console/requests?order=slowest") as response:
        [row] = re.findall(rf'requests/{span_id}">.*?<strong>(.*?)</strong>', await response.text(), re.DOTALL)
    sentence = re.search(r'<h1 id="headline">(.*?)</h1>', page, re.DOTALL)
    assert sentence is not None
    return row, re.sub(r"<[^>]+>", "", sentence[1])


async def test_a_full_queue_is_blamed_with_the_place_that_was_taken(tmp_path: Path) -> None:
    async with (
        ScriptedProvider(SLOW_DECODE) as provider,
        running(tmp_path, remote("v0", provider, max_running=1), **ALL) as gateway,
    ):
        both = await asyncio.gather(*(stream(gateway, max_tokens=40 + number) for number in range(2)))
        [(_, sentence)] = [found for each in both if (found := await told(gateway, each))[0] == "queue"]
    assert re.search(r"it waited \d+ ms of its .* in the queue: the one place of v0 was taken", sentence)


async def test_slow_decoding_is_blamed_with_its_pace(tmp_path: Path) -> None:
    async with (
        ScriptedProvider(SLOW_DECODE) as provider,
        running(tmp_path, remote("v0", provider, tpot_s=0.001), **ALL) as gateway,
    ):
        stage, sentence = await told(gateway, await stream(gateway))
    assert stage == "generate"
    assert re.search(r"v0 took .* to generate 5 tokens, .* tokens/s where .* had been predicted", sentence)


async def test_a_cold_start_is_blamed_on_starting_the_variant(tmp_path: Path) -> None:
    worker = tmp_path / "worker"
    warm = VariantStatus(name="near", state=WorkerState.WARM, socket_path=str(worker))
    fleet = SlowFleet(states={"near": VariantStatus(name="near", state=WorkerState.COLD)}, starts={"near": warm})
    async with (
        ScriptedProvider(QUICK, socket_path=worker),
        running(tmp_path, local("near"), fleet=fleet, **ALL) as gateway,
    ):
        stage, sentence = await told(gateway, await stream(gateway))
    assert stage == "load"
    assert "near was not running, and starting it took" in sentence


async def test_a_slow_redis_is_blamed_with_its_calls(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as server:
        async with (
            ScriptedProvider(QUICK) as provider,
            slow_way(server, answers_after_s=0.15) as url,
            running(tmp_path, remote("v0", provider), cache={"url": url, "timeout_s": 1.0}, **ALL) as gateway,
        ):
            # Decoded greedily, so that the cache is looked into.
            stage, sentence = await told(gateway, await stream(gateway, temperature=0))
    assert stage == "redis"
    assert re.search(r"for Redis in \d+ calls?, the longest \d+ ms", sentence)
