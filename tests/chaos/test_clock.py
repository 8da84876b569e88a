"""The clock on the wall is set forwards and back under a gateway at work."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway import lifespan
from gateway.clock import Clock
from tests.gateways import HELLO, RunningGateway, remote, running
from tests.providers import Answer, ScriptedProvider, completion_body

DAY_S = 86_400.0


@pytest.fixture
def shift(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the clock on the wall so many seconds off."""
    off_s = [0.0]
    clock = Clock(wall_s=lambda: time.time() + off_s[0], monotonic_s=time.perf_counter)
    monkeypatch.setattr(lifespan, "SYSTEM_CLOCK", clock)

    def set_off(seconds: float) -> None:
        off_s[0] = seconds

    return set_off


async def ask(gateway: RunningGateway, number: int) -> dict[str, float]:
    body = {"messages": [{"role": "user", "content": f"hello {number}"}]}
    response, _ = await gateway.post("/v1/chat/completions", HELLO | body)
    assert response.status == 200
    outcome = (await gateway.record(response.headers["X-Trilemma-Decision"]))["outcome"]
    return {name: outcome[name] for name in ("latency_s", "queue_s", "cost_usd")}


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S, 400 * DAY_S])
async def test_a_jump_of_the_clock_loses_no_request_and_bends_no_figure(
    tmp_path: Path, shift: Callable[[float], None], jump_s: float
) -> None:
    async with (
        ScriptedProvider(Answer(body=completion_body("fine"))) as provider,
        running(tmp_path, remote("a", provider)) as gateway,
    ):
        before = await ask(gateway, 1)
        shift(jump_s)
        after = await ask(gateway, 2)
        shift(0.0)
        again = await ask(gateway, 3)
        for outcome in (before, after, again):
            assert 0 <= outcome["queue_s"] <= outcome["latency_s"] < 5
        assert before["cost_usd"] == after["cost_usd"] == again["cost_usd"]
