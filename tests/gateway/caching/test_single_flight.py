"""Many identical requests at once cause one generation, and nobody depends on the one that makes it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateways import RunningGateway, behind, until
from tests.providers import Answer, completion_body

ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}], "temperature": 0}
SLOW = Answer(body=completion_body("once"), first_after_s=0.5)
CHAT = "/v1/chat/completions"


async def outcomes(gateway: RunningGateway, count: int, **fields: Any) -> Counter[tuple[int, str]]:
    """Status and cache outcome of so many identical requests at once."""
    body = json.dumps(ASK | fields).encode()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one() -> tuple[int, str]:
            async with session.post(f"{gateway.url}{CHAT}", data=body) as response:
                await response.read()
                return response.status, response.headers.get("X-Trilemma-Cache", "none")

        return Counter(await asyncio.gather(*(one() for _ in range(count))))


@pytest.mark.timeout(60)
async def test_two_thousand_identical_requests_at_once_cause_one_generation(tmp_path: Path) -> None:
    async with behind(tmp_path, replace(SLOW, first_after_s=2.0)) as (gateway, [provider]):
        seen = await outcomes(gateway, 2000)
        assert len(provider.requests) == 1
        assert seen == {(200, "miss"): 1, (200, "exact"): 1999}


async def test_when_the_one_that_leads_goes_away_exactly_one_other_takes_its_place(tmp_path: Path) -> None:
    async with behind(tmp_path, SLOW) as (gateway, [provider]):
        provider.script = [replace(SLOW, first_after_s=30.0), SLOW]  # Only its leaving ends the leader's turn.
        leader = asyncio.create_task(gateway.post(CHAT, ASK))
        await until(lambda: len(provider.requests) == 1)
        others = asyncio.create_task(outcomes(gateway, 50))
        await asyncio.sleep(0.2)
        leader.cancel()
        assert await others == {(200, "miss"): 1, (200, "exact"): 49}
        assert len(provider.requests) == 2


async def test_when_the_one_that_leads_fails_the_others_are_answered_all_the_same(tmp_path: Path) -> None:
    broken = Answer(status=400, body=b'{"error": {"message": "no"}}', first_after_s=0.3)
    async with behind(tmp_path, broken) as (gateway, [provider]):
        provider.script = [broken, SLOW]
        assert await outcomes(gateway, 20) == {(400, "miss"): 1, (200, "miss"): 1, (200, "exact"): 18}
        assert len(provider.requests) == 2


async def test_an_answer_that_cannot_be_shared_leaves_nobody_waiting_in_line(tmp_path: Path) -> None:
    filtered = replace(SLOW, body=completion_body("no").replace(b'"stop"', b'"content_filter"'))
    async with behind(tmp_path, filtered) as (gateway, [provider]):
        began_s = asyncio.get_running_loop().time()
        assert await outcomes(gateway, 10) == {(200, "miss"): 10}
        assert len(provider.requests) == 10
        assert asyncio.get_running_loop().time() - began_s < 4  # One after the other takes 5 s.


async def test_whoever_has_no_time_to_wait_has_an_answer_made(tmp_path: Path) -> None:
    async with behind(tmp_path, replace(SLOW, first_after_s=1.0), cache={"flight_s": 0.1}) as (gateway, [provider]):
        assert await outcomes(gateway, 2) == {(200, "miss"): 2}
        assert len(provider.requests) == 2


async def test_requests_that_ask_for_different_things_do_not_wait_for_each_other(tmp_path: Path) -> None:
    async with behind(tmp_path, SLOW) as (gateway, [provider]):
        await asyncio.gather(outcomes(gateway, 5), outcomes(gateway, 5, max_tokens=3))
        assert len(provider.requests) == 2
