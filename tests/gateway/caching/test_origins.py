"""From a decision to the answer it is about, on the replica that gave it and on every other."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.caching.background import MAX_WAITING, Background
from gateway.caching.origins import BATCH, Origin, Origins
from gateway.caching.thresholds import Thresholds
from gateway.clock import SYSTEM_CLOCK
from gateway.shared.redis import open_redis
from gateway.shared.settings import CacheSettings
from tests.redis_server import redis_server


async def test_what_one_replica_notes_and_learns_another_one_knows(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        settings = CacheSettings(url=server.url, timeout_s=0.5)
        async with open_redis(settings, clock=SYSTEM_CLOCK) as one, open_redis(settings, clock=SYSTEM_CLOCK) as other:
            background = Background()
            mine, theirs = Origins(one, background), Origins(other, background)
            noted = {f"dec_{n}": Origin(key=f"k{n}", tenant="a", similarity=0.5) for n in range(BATCH + 5)}
            for decision, origin in noted.items():
                mine.note(decision, origin, ttl_s=60)
            async with asyncio.timeout(5):
                while await theirs.find(f"dec_{BATCH + 4}") is None:
                    await asyncio.sleep(0.01)
            assert {decision: await theirs.find(decision) for decision in noted} == noted
            assert await theirs.find("dec_unknown") is None
            await background.aclose()

            wrong, asking = (Thresholds(redis, clock=SYSTEM_CLOCK) for redis in (one, other))
            await wrong.wrong("a", similarity=0.95)
            raised = await asking.raised("a")
            assert raised is not None
            assert raised > 0.95
            await asking.wrong("a", similarity=0.5)
            assert await wrong.raised("a") == raised
            assert await asking.raised("b") is None


async def test_values_in_redis_that_are_none_of_ours_are_passed_over(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server, server.client() as client:
        client.set("trilemma:cache:origin:dec_1", b"\xff\x00")
        client.set("trilemma:cache:a:threshold", b"high")
        async with open_redis(CacheSettings(url=server.url, timeout_s=0.5), clock=SYSTEM_CLOCK) as redis:
            assert await Origins(redis, Background()).find("dec_1") is None
            assert await Thresholds(redis, clock=SYSTEM_CLOCK).raised("a") is None


async def test_background_work_that_fails_or_does_not_fit_hurts_nobody() -> None:
    background, done, go = Background(), [0], asyncio.Event()

    async def fail() -> None:
        raise ValueError

    async def count() -> None:
        done[0] += 1

    background.post(go.wait)
    background.post(fail)
    for _ in range(MAX_WAITING + 5):
        background.post(count)
    assert background.dropped > 0
    go.set()
    async with asyncio.timeout(5):
        while done[0] < MAX_WAITING - 2:
            await asyncio.sleep(0.01)
    await background.aclose()
