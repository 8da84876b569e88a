"""Redis freezes, dies, is slow, full or flushed under a gateway at work: no request is lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos_tools import ask, ask_together, config_over
from tests.providers import ScriptedProvider
from tests.redis_server import RedisServer, redis_server, slow_way
from tests.serving import Gateway, serving

pytestmark = pytest.mark.timeout(90)

FAULTS: dict[str, tuple[Callable[[RedisServer], None], Callable[[RedisServer], None]]] = {
    "frozen": (RedisServer.freeze, RedisServer.thaw),
    "dead": (RedisServer.kill, RedisServer.restart),
    "full": (RedisServer.fill, RedisServer.empty),
    "flushed": (RedisServer.flush, RedisServer.flush),
}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "redis") as server:
        yield server


@contextmanager
def over(url: str, provider: ScriptedProvider, directory: Path) -> Iterator[Gateway]:
    """A gateway that shares everything through this Redis."""
    config = config_over(provider, more=f"cache: {{url: '{url}'}}\nserver: {{drain_s: 2}}")
    with serving(directory / "no-models", directory / "gateway", config=config) as running:
        yield running


@pytest.mark.parametrize("fault", FAULTS)
def test_no_request_is_lost_to_redis(
    redis: RedisServer, provider: ScriptedProvider, tmp_path: Path, fault: str
) -> None:
    breaks, mends = FAULTS[fault]
    with over(redis.url, provider, tmp_path) as gateway:
        assert ask_together(gateway, 8) == ["fine"] * 8
        breaks(redis)
        for _ in range(3):
            assert ask_together(gateway, 8) == ["fine"] * 8
        began_s = time.monotonic()
        assert ask(gateway, "something new") == "fine"
        assert time.monotonic() - began_s < 1.0
        mends(redis)
        assert ask_together(gateway, 8) == ["fine"] * 8


def test_a_redis_that_answers_after_two_seconds_holds_up_nobody(
    redis: RedisServer, provider: ScriptedProvider, tmp_path: Path
) -> None:
    with slowed(redis) as url, over(url, provider, tmp_path) as gateway:
        ask_together(gateway, 8)  # Until these have failed to reach it, its breaker is closed.
        began_s = time.monotonic()
        assert ask_together(gateway, 8) == ["fine"] * 8
        assert time.monotonic() - began_s < 1.5


@contextmanager
def slowed(server: RedisServer) -> Iterator[str]:
    """The slow way, on a thread of its own."""
    opened, close, urls = threading.Event(), asyncio.Event(), list[str]()

    async def run() -> None:
        async with slow_way(server, answers_after_s=2.0) as url:
            urls.append(url)
            opened.set()
            await close.wait()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        assert opened.wait(5)
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(close.set)
        thread.join()
        loop.close()
