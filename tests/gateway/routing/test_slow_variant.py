"""A variant that becomes five times slower is predicted so within 20 answers, loses its traffic, and gets it back.

The clock moves only when the provider says so, and so every time is exact.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway import ground, lifespan
from gateway.clock import Clock
from policies.estimators.corrections import HALF_LIFE_S, PAUSE_S
from tests.gateways import USAGE_EVENT, RunningGateway, remote, running
from tests.providers import Answer, ScriptedProvider, chat_events, completion_body

CHAT = "/v1/chat/completions"
ASKED = {"messages": [{"role": "user", "content": "hello " * 50}], "max_tokens": 5}
"""About as long as the prompts that a stated TTFT is meant for."""

TTFT_S, TPOT_S, TOKENS = 0.1, 0.01, 5
LATENCY_S = TTFT_S + (TOKENS - 1) * TPOT_S
USD_PER_S = 1e-3
FIRST, *REST = chat_events("so ", "it ", "is")[1:]


@dataclass
class Scene:
    """The clock, and by how much the variant `swift` is slower than stated."""

    now_s: float = 1_700_000_000.0
    slower: float = 1.0
    seen: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the caller has the first token."""

    @property
    def clock(self) -> Clock:
        return Clock(wall_s=lambda: self.now_s, monotonic_s=lambda: self.now_s)


class PacedProvider(ScriptedProvider):
    """Answers in seconds of the scene's clock; it does not go on with a stream before its first token was seen."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(Answer())
        self._scene = scene

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        scene = self._scene
        if not json.loads(await request.read()).get("stream"):
            scene.now_s += scene.slower * LATENCY_S
            return web.Response(body=completion_body("so it is"))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        scene.now_s += scene.slower * TTFT_S
        await response.write(FIRST)
        await scene.seen.wait()
        scene.seen.clear()
        scene.now_s += scene.slower * (TOKENS - 1) * TPOT_S
        await response.write(b"".join(REST) + USAGE_EVENT + b"data: [DONE]\n\n")
        return response


@asynccontextmanager
async def two_variants(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[RunningGateway, Scene]]:
    """A gateway of `swift`, whose pace the scene sets, and `steady`, which takes twice as long and stays so."""
    scene = Scene()
    for module in (ground, lifespan):
        monkeypatch.setattr(module, "SYSTEM_CLOCK", scene.clock)
    price = {"compute_per_hour_usd": 3600 * USD_PER_S}
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(PacedProvider(scene))
        steady = remote("steady", provider, ttft_s=2 * TTFT_S, tpot_s=2 * TPOT_S, price=price)
        variants = remote("swift", provider, ttft_s=TTFT_S, tpot_s=TPOT_S, price=price), steady
        yield await stack.enter_async_context(running(directory, *variants)), scene


async def answered(gateway: RunningGateway, scene: Scene, *, stream: bool, count: int = 20) -> None:
    """Have `swift` answer."""
    body = ASKED | {"model": "swift", "stream": stream}
    for _ in range(count):
        async with gateway.session.post(f"{gateway.url}{CHAT}", json=body) as response:
            async for part in response.content.iter_any():
                if b"so " in part:
                    scene.seen.set()
        scene.seen.clear()


async def decided(gateway: RunningGateway, *, priority: str) -> tuple[str, dict[str, Any]]:
    """Which variant the gateway chooses by itself, and what it predicts of `swift`."""
    body = ASKED | {"priority": priority}
    _, answer = await gateway.post(CHAT, body, X_Trilemma_Explain="1")
    explained = answer["trilemma"]
    return explained["variant"], next(c for c in explained["candidates"] if c["variant"] == "swift")


def within(predicted: dict[str, Any], slower: float) -> bool:
    """Whether every prediction is within 1.5x of what is observed."""
    actual = {"ttft_s": TTFT_S, "latency_s": LATENCY_S, "cost_usd": LATENCY_S * USD_PER_S}
    return all(2 / 3 < predicted[figure] / (slower * value) < 1.5 for figure, value in actual.items())


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_20_answers_after_a_slow_down_predictions_and_choices_follow_and_20_after_it_they_are_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    async with two_variants(tmp_path, monkeypatch) as (gateway, scene):
        for slower, chosen in ((1.0, "swift"), (5.0, "steady"), (1.0, "swift")):
            scene.slower = slower
            await answered(gateway, scene, stream=stream)
            for priority in ("speed", "cost"):
                variant, predicted = await decided(gateway, priority=priority)
                assert variant == chosen
                assert within(predicted, slower), predicted


async def test_a_variant_that_gets_no_requests_any_more_is_tried_again_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_variants(tmp_path, monkeypatch) as (gateway, scene):
        scene.slower = 5.0
        await answered(gateway, scene, stream=False)
        assert (await decided(gateway, priority="speed"))[0] == "steady"
        scene.now_s += PAUSE_S + 2 * HALF_LIFE_S
        assert (await decided(gateway, priority="speed"))[0] == "swift"
