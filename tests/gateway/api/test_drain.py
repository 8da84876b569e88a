"""After SIGTERM what runs may run on for a while; what is not complete by then is told so, and never looks whole."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.decisions.read import export
from tests.gateways import HELLO, RunningGateway, behind, events_of, until
from tests.providers import Answer, chat_events

CHAT = "/v1/chat/completions"
STREAM = {**HELLO, "stream": True}
ENDLESS = Answer(events=chat_events(*"x" * 500), every_s=0.01)
STALLED = Answer(events=chat_events("x", finish=None), ending="stall")
SHORT = Answer(events=chat_events(*"abcdef"), every_s=0.05)
SILENT = Answer(first_after_s=10.0, body=b"{}")


async def stop(gateway: RunningGateway) -> None:
    """What SIGTERM does to the server."""
    gateway.server.should_exit = True
    await until(lambda: gateway.services.stopping)


def outcomes(directory: Path) -> list[Any]:
    """Endings and error types in the log of a gateway that has stopped."""
    records = export(f"sqlite:///{directory}/trilemma.db")
    return [(record.outcome.ending, record.outcome.error_type) for record in records if record.outcome]


async def test_a_stream_that_ends_within_the_grace_period_is_whole(tmp_path: Path) -> None:
    async with behind(tmp_path, SHORT, server={"drain_s": 5}) as (gateway, _):
        async with gateway.session.post(f"{gateway.url}{CHAT}", json=STREAM) as response:
            await stop(gateway)
            events = events_of(await response.read())
        assert events[-1] == "[DONE]"


@pytest.mark.parametrize("answer", [ENDLESS, STALLED], ids=["endless", "stalled"])
async def test_a_stream_still_open_after_the_grace_period_ends_in_an_error(tmp_path: Path, answer: Answer) -> None:
    async with behind(tmp_path, answer, server={"drain_s": 0.3}) as (gateway, providers):
        async with gateway.session.post(f"{gateway.url}{CHAT}", json=STREAM) as response:
            await stop(gateway)
            events = events_of(await response.read())
        assert "[DONE]" not in events
        error = events[-1]["error"]
        assert (error["type"], error["code"]) == ("overloaded", "restarting")
        await until(lambda: providers[0].left == 1)
    assert outcomes(tmp_path) == [("stopped", "overloaded")]


async def test_a_whole_answer_that_takes_too_long_is_a_503_that_says_when_to_come_back(tmp_path: Path) -> None:
    async with behind(tmp_path, SILENT, server={"drain_s": 0.3}) as (gateway, _):
        asking = asyncio.ensure_future(gateway.session.post(f"{gateway.url}{CHAT}", json=HELLO))
        await until(lambda: gateway.services.catalogue.view("v0").in_flight == 1)
        await stop(gateway)
        async with await asking as response:
            assert (response.status, response.headers["retry-after"]) == (503, "1")
            assert json.loads(await response.read())["error"]["code"] == "restarting"
    assert outcomes(tmp_path) == [("stopped", "overloaded")]


async def test_what_a_caller_who_does_not_read_has_cost_is_on_record_when_it_leaves(tmp_path: Path) -> None:
    wide = Answer(events=chat_events(*["x" * 60_000] * 400))
    async with behind(tmp_path, wide) as (gateway, providers):
        async with gateway.session.post(f"{gateway.url}{CHAT}", json=STREAM) as response:
            await asyncio.sleep(0.3)  # Every buffer on the way is full by now.
            response.close()
        await until(lambda: providers[0].left == 1)
        found = await gateway.record(response.headers["x-trilemma-decision"])
        assert found["outcome"]["ending"] == "cancelled"
        assert [attempt["error_type"] for attempt in found["outcome"]["attempts"]] == ["interrupted"]
        assert found["outcome"]["cost_usd"] > 0
