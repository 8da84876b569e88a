"""The way to a real Redis that freezes, dies, is slow, full or flushed."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest

from gateway.clock import SYSTEM_CLOCK
from gateway.shared.redis import RedisDownError, SharedRedis, open_redis
from gateway.shared.settings import CacheSettings
from tests.gateways import until
from tests.redis_server import RedisServer, redis_server, slow_way


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as found:
        yield found


@pytest.fixture
def server(shared_server: RedisServer) -> Iterator[RedisServer]:
    """In order, before and after."""
    shared_server.flush()
    yield shared_server
    if shared_server.process.poll() is not None:
        shared_server.restart()
    shared_server.thaw()
    shared_server.empty()


@pytest.fixture
async def shared(server: RedisServer) -> AsyncIterator[SharedRedis]:
    async with open_redis(CacheSettings(url=server.url, timeout_s=0.1), clock=SYSTEM_CLOCK) as found:
        assert found is not None
        yield found


async def asked(shared: SharedRedis) -> bytes | None:
    return await shared.call(lambda client: client.get("a"))


async def leave_alone(shared: SharedRedis) -> int:
    """Ask until the breaker opens; how many calls that took."""
    calls = 0
    while shared.up:
        calls += 1
        with pytest.raises(RedisDownError):
            await asked(shared)
    return calls


async def test_without_an_address_there_is_no_redis() -> None:
    async with open_redis(CacheSettings(), clock=SYSTEM_CLOCK) as found:
        assert found is None


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1:6379", ""])
def test_what_is_no_address_of_redis_is_refused(url: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="redis://"):
        msgspec.convert({"url": url}, CacheSettings)


async def test_what_was_written_is_read(shared: SharedRedis) -> None:
    await shared.call(lambda client: client.set("a", b"\x00\xff"))
    assert await asked(shared) == b"\x00\xff"


@pytest.mark.parametrize("fault", ["freeze", "kill"])
async def test_a_frozen_or_dead_redis_is_left_alone_and_found_again(
    shared: SharedRedis, server: RedisServer, fault: str
) -> None:
    await asked(shared)
    getattr(server, fault)()
    assert await leave_alone(shared) <= 10
    began_s = time.monotonic()
    for _ in range(200):
        with pytest.raises(RedisDownError):
            await asked(shared)
    assert time.monotonic() - began_s < 2, "nobody waits for it: that would be four seconds"
    server.thaw() if fault == "freeze" else server.restart()
    await until(lambda: shared.up, within_s=10)
    assert await asked(shared) is None


async def test_a_crowd_waits_for_its_turn_and_is_not_held_against_redis(server: RedisServer) -> None:
    async with open_redis(CacheSettings(url=server.url, timeout_s=0.1), clock=SYSTEM_CLOCK) as shared:
        assert shared is not None
        await asked(shared)
        assert await asyncio.gather(*(asked(shared) for _ in range(500))) == [None] * 500


async def test_a_crowd_does_not_wait_in_turn_for_a_frozen_redis(shared: SharedRedis, server: RedisServer) -> None:
    await asked(shared)
    server.freeze()
    began_s = time.monotonic()
    replies = await asyncio.gather(*(asked(shared) for _ in range(500)), return_exceptions=True)
    assert {type(reply) for reply in replies} == {RedisDownError}
    assert time.monotonic() - began_s < 1.5, "the first few find out for all"


async def test_a_slow_redis_is_as_good_as_none(server: RedisServer) -> None:
    async with (
        slow_way(server, answers_after_s=2.0) as url,
        open_redis(CacheSettings(url=url, timeout_s=0.02), clock=SYSTEM_CLOCK) as shared,
    ):
        assert shared is not None
        began_s = time.monotonic()
        assert await leave_alone(shared) <= 10
        assert time.monotonic() - began_s < 1.0


async def test_a_redis_that_was_never_there_fails_no_start() -> None:
    settings = CacheSettings(url="redis://:secret@127.0.0.1:1/0", timeout_s=0.1)
    async with open_redis(settings, clock=SYSTEM_CLOCK) as shared:
        assert shared is not None
        with pytest.raises(RedisDownError) as caught:
            await asked(shared)
        assert "secret" not in str(caught.value)


async def test_a_full_redis_says_no_and_is_still_asked(shared: SharedRedis, server: RedisServer) -> None:
    server.fill()
    for _ in range(20):
        with pytest.raises(RedisDownError):
            await shared.call(lambda client: client.set("a", b"1"))
    assert shared.up
    assert await asked(shared) is None


async def test_a_caller_that_is_cancelled_opens_nothing(shared: SharedRedis, server: RedisServer) -> None:
    await asked(shared)
    server.freeze()
    for _ in range(20):
        call = asyncio.create_task(asked(shared))
        await asyncio.sleep(0.001)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    server.thaw()
    assert shared.up


async def test_answers_never_cross_however_calls_are_cut(shared: SharedRedis) -> None:
    for number in range(50):
        await shared.call(lambda client, n=number: client.set(f"k{n}", b"%d" % n))  # type: ignore[misc]
    rng = random.Random(7)

    async def one(number: int) -> None:
        call = asyncio.create_task(shared.call(lambda client: client.get(f"k{number}")))
        if rng.random() < 0.5:
            await asyncio.sleep(rng.random() * 0.003)
            call.cancel()
        with contextlib.suppress(RedisDownError, asyncio.CancelledError):
            assert await call == b"%d" % number

    for _ in range(30):
        await asyncio.gather(*(one(rng.randrange(50)) for _ in range(40)))
    assert await shared.call(lambda client: client.get("k7")) == b"7"
