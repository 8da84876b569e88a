"""A variant that fails again and again is left alone, probed and taken back; no caller can bring that about."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from tests.gateways import HELLO, RunningGateway, behind
from tests.providers import Answer, chat_events, completion_body

CHAT = "/v1/chat/completions"
GOOD = Answer(body=completion_body("Paris"))
STREAM = Answer(events=chat_events("Paris"))
FAILING = Answer(status=500, body=b"oops")
CALLS = {"open_s": 0.3, "breaker_failures": 3}


async def answered_by(gateway: RunningGateway, **fields: Any) -> str:
    response, body = await gateway.post(CHAT, HELLO | fields)
    assert response.status == 200, body
    return str(body["model"])


async def test_an_open_circuit_is_no_candidate_and_says_for_how_long(tmp_path: Path) -> None:
    async with behind(tmp_path, FAILING, GOOD, calls=CALLS) as (gateway, providers):
        assert [await answered_by(gateway) for _ in range(6)] == ["v1"] * 6
        assert len(providers[0].requests) == 3, "the rest went by an open circuit"
        response, body = await gateway.post(CHAT, {**HELLO, "model": "v0"})
        assert (response.status, body["error"]["type"], response.headers["retry-after"]) == (503, "overloaded", "1")
        assert re.search(r"v0: circuit open for 0\.\d s more", body["error"]["message"])
        assert len(providers[0].requests) == 3


async def test_one_request_probes_a_variant_and_its_success_brings_the_traffic_back(tmp_path: Path) -> None:
    slow = Answer(first_after_s=0.2, body=completion_body("Paris"))
    async with behind(tmp_path, FAILING, GOOD, calls=CALLS) as (gateway, providers):
        for _ in range(3):
            await answered_by(gateway)
        providers[0].script = [slow, GOOD]
        wait_s = gateway.services.catalogue.health.shut_s("v0")
        assert wait_s is not None
        await asyncio.sleep(wait_s)
        answers = await asyncio.gather(*(answered_by(gateway) for _ in range(8)))
        assert sorted(answers) == ["v0", *["v1"] * 7], "one probe, while the others go elsewhere"
        assert await answered_by(gateway) == "v0"


async def test_who_asks_to_be_left_alone_is(tmp_path: Path) -> None:
    busy = Answer(status=503, headers={"Retry-After": "20"}, body=b"{}")
    async with behind(tmp_path, busy, GOOD) as (gateway, providers):
        assert [await answered_by(gateway) for _ in range(3)] == ["v1"] * 3
        assert len(providers[0].requests) == 1
        response, _ = await gateway.post(CHAT, {**HELLO, "model": "v0"})
        assert (response.status, response.headers["retry-after"]) == (503, "20")


async def test_no_caller_can_shut_a_variant_for_the_others(tmp_path: Path) -> None:
    wrong = Answer(status=400, body=b'{"error": {"message": "odd"}}')
    late = Answer(first_after_s=1.0, events=STREAM.events)
    async with behind(tmp_path, wrong, GOOD, calls=CALLS) as (gateway, providers):
        for _ in range(6):
            await gateway.post(CHAT, HELLO)
        providers[0].script, providers[1].script = [late], [STREAM]
        for _ in range(6):
            assert (await gateway.stream(CHAT, HELLO | {"slo": {"ttft_s": 0.15}}))[0]["model"] == "v1"
        assert len(providers[0].requests) == 12
        assert gateway.services.catalogue.health.shut_s("v0") is None
        providers[0].script = [GOOD]
        assert await answered_by(gateway) == "v0"


async def test_a_variant_that_flaps_costs_no_request_and_is_left_alone_ever_longer(tmp_path: Path) -> None:
    async with behind(tmp_path, FAILING, GOOD, calls=CALLS) as (gateway, providers):
        waits = list[float]()
        for _ in range(3):
            providers[0].script = [FAILING]
            while (wait_s := gateway.services.catalogue.health.shut_s("v0")) is None:
                assert await answered_by(gateway) == "v1"
            waits.append(wait_s)
            providers[0].script = [GOOD]
            await asyncio.sleep(wait_s)
            assert await answered_by(gateway) == "v0", "one probe brings it back"
        assert waits[0] < waits[1] < waits[2]
