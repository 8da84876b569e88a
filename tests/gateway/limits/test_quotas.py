"""The counts, in memory and in a real Redis: never over, whatever is asked at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import SYSTEM_CLOCK, Clock
from gateway.limits.memory import LEASE_S, WINDOW_S, MemoryQuotas
from gateway.limits.redis import RedisQuotas
from gateway.limits.types import Ask, QuotaStore, Reply, Settlement
from gateway.shared.redis import open_redis
from gateway.shared.settings import CacheSettings
from gateway.tenants.types import Quotas
from tests.redis_server import RedisServer, redis_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as found:
        yield found


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[QuotaStore]:
    if request.param == "memory":
        yield MemoryQuotas(SYSTEM_CLOCK)
        return
    server: RedisServer = request.getfixturevalue("server")
    server.flush()
    async with open_redis(CacheSettings(url=server.url, timeout_s=1.0), clock=SYSTEM_CLOCK) as shared:
        assert shared is not None
        yield RedisQuotas(shared)


def ask(quotas: Quotas, *, lease: str = "a", tokens: int = 0, tenant: str = "t") -> Ask:
    return Ask(tenant=tenant, quotas=quotas, lease=lease, tokens=tokens)


async def test_a_quota_lets_through_exactly_as_many(store: QuotaStore) -> None:
    quotas = Quotas(requests_per_min=7)
    replies = await asyncio.gather(*(store.reserve(ask(quotas, lease=str(n))) for n in range(20)))
    assert [reply.refused for reply in replies].count(None) == 7
    assert sorted(reply.requests_left for reply in replies if reply.refused is None) == list(range(7))
    refused = next(reply for reply in replies if reply.refused)
    assert refused.refused == "requests"
    assert WINDOW_S - 2 < refused.retry_after_s <= WINDOW_S + 1


async def test_what_was_not_used_is_there_again(store: QuotaStore) -> None:
    quotas = Quotas(tokens_per_min=100)
    first = await store.reserve(ask(quotas, tokens=80))
    assert first.tokens_left == 20
    assert (await store.reserve(ask(quotas, tokens=21, lease="b"))).refused == "tokens"
    await store.settle(Settlement(tenant="t", lease="a", tokens={first.second: -50}))
    assert (await store.reserve(ask(quotas, tokens=70, lease="b"))).tokens_left == 0


async def test_more_than_was_reserved_counts_too(store: QuotaStore) -> None:
    quotas = Quotas(tokens_per_min=100)
    first = await store.reserve(ask(quotas, tokens=80))
    await store.settle(Settlement(tenant="t", lease="a", tokens={first.second: 40}))
    assert (await store.reserve(ask(quotas, tokens=1, lease="b"))).refused == "tokens"


async def test_places_come_back_when_requests_end(store: QuotaStore) -> None:
    quotas = Quotas(concurrent=2)
    for lease in ("a", "b"):
        assert (await store.reserve(ask(quotas, lease=lease))).refused is None
    assert (await store.reserve(ask(quotas, lease="c"))).refused == "concurrent"
    await store.settle(Settlement(tenant="t", lease="a", tokens={}))
    assert (await store.reserve(ask(quotas, lease="c"))).refused is None


async def test_a_refusal_reserves_nothing(store: QuotaStore) -> None:
    quotas = Quotas(requests_per_min=5, tokens_per_min=10, concurrent=5)
    for number in range(10):
        assert (await store.reserve(ask(quotas, lease=str(number), tokens=11))).refused == "tokens"
    reply = await store.reserve(ask(quotas, tokens=10))
    assert (reply.refused, reply.requests_left, reply.tokens_left) == (None, 4, 0)


async def test_tenants_do_not_touch_each_other(store: QuotaStore) -> None:
    quotas = Quotas(requests_per_min=1)
    for tenant in ("a", "b", "{a}", "a}:x"):
        assert (await store.reserve(ask(quotas, tenant=tenant))).refused is None


class Time:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.clock = Clock(wall_s=lambda: self.now_s, monotonic_s=lambda: self.now_s)


def replied(store: MemoryQuotas, asked: Ask) -> Reply:
    """Nothing in memory waits, so no loop is needed."""
    coroutine = store.reserve(asked)
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    reply: Reply = done.value.value
    return reply


@given(
    quota=st.integers(1, 40),
    steps=st.lists(st.tuples(st.floats(0, 20), st.integers(1, 20)), min_size=1, max_size=60),
)
def test_no_minute_wherever_it_begins_has_more_than_the_quota(quota: int, steps: list[tuple[float, int]]) -> None:
    time, granted = Time(), list[tuple[float, int]]()
    store = MemoryQuotas(time.clock)
    for number, (pause_s, tokens) in enumerate(steps):
        time.now_s += pause_s
        reply = replied(store, ask(Quotas(tokens_per_min=quota), lease=str(number), tokens=tokens))
        if reply.refused is None:
            granted.append((time.now_s, tokens))
    for began_s, _ in granted:
        assert sum(tokens for at_s, tokens in granted if began_s <= at_s < began_s + WINDOW_S) <= quota


@given(quota=st.integers(5, 40), pauses=st.lists(st.floats(0, 10), min_size=10, max_size=60))
def test_who_comes_back_when_told_is_let_in(quota: int, pauses: list[float]) -> None:
    time = Time()
    store = MemoryQuotas(time.clock)
    for number, pause_s in enumerate(pauses):
        time.now_s += pause_s
        asked = ask(Quotas(tokens_per_min=quota), lease=str(number), tokens=5)
        reply = replied(store, asked)
        if reply.refused is not None:
            time.now_s += reply.retry_after_s + 1e-6
            assert replied(store, asked).refused is None


def test_the_place_of_a_process_that_died_comes_back() -> None:
    time, quotas = Time(), Quotas(concurrent=1)
    store = MemoryQuotas(time.clock)
    assert replied(store, ask(quotas, lease="a")).refused is None
    time.now_s += LEASE_S - 1
    assert replied(store, ask(quotas, lease="b")).refused == "concurrent"
    time.now_s += 2
    assert replied(store, ask(quotas, lease="b")).refused is None


async def test_only_what_is_still_at_work_is_renewed() -> None:
    time, quotas = Time(), Quotas(concurrent=1)
    store = MemoryQuotas(time.clock)
    await store.reserve(ask(quotas, lease="a"))
    time.now_s += LEASE_S - 1
    await store.renew({"t": ["a", "ended long ago"]})
    time.now_s += 2
    assert (await store.reserve(ask(quotas, lease="b"))).refused == "concurrent"
    await store.settle(Settlement(tenant="t", lease="a", tokens={}))
    assert (await store.reserve(ask(quotas, lease="b"))).refused is None


async def test_the_lease_of_a_process_that_died_ends_in_redis_too(server: RedisServer) -> None:
    server.flush()
    quotas = Quotas(concurrent=1)
    async with open_redis(CacheSettings(url=server.url, timeout_s=1.0), clock=SYSTEM_CLOCK) as shared:
        assert shared is not None
        store = RedisQuotas(shared)
        assert (await store.reserve(ask(quotas, lease="a"))).refused is None
        await store.renew({"t": ["a", "ended long ago"]})
        assert (await store.reserve(ask(quotas, lease="b"))).refused == "concurrent"
        with server.client() as client:
            assert client.zcard("trilemma:quota:{t}:leases") == 1, "nothing is renewed that is over"
            client.zadd("trilemma:quota:{t}:leases", {"a": 1})
        assert (await store.reserve(ask(quotas, lease="b"))).refused is None


async def test_scripts_forgotten_by_redis_are_sent_again(server: RedisServer) -> None:
    async with open_redis(CacheSettings(url=server.url, timeout_s=1.0), clock=SYSTEM_CLOCK) as shared:
        assert shared is not None
        store = RedisQuotas(shared)
        for _ in range(3):
            server.flush()
            assert (await store.reserve(ask(Quotas(requests_per_min=1)))).refused is None


async def test_a_clock_of_redis_that_is_set_back_blocks_nobody(server: RedisServer) -> None:
    server.flush()
    quotas = Quotas(requests_per_min=3, concurrent=3)
    with server.client() as client:
        ahead_s = int(client.time()[0]) + 3600  # type: ignore[index]
        client.hset("trilemma:quota:{t}:minute", f"r{ahead_s}", 3)
        client.zadd("trilemma:quota:{t}:leases", dict.fromkeys("abc", (ahead_s + LEASE_S) * 1000))
    async with open_redis(CacheSettings(url=server.url, timeout_s=1.0), clock=SYSTEM_CLOCK) as shared:
        assert shared is not None
        assert (await RedisQuotas(shared).reserve(ask(quotas, lease="d"))).requests_left == 2


async def test_the_clock_on_the_wall_does_not_count_in_memory() -> None:
    wall_s = iter([1e9, 2e9, 5e8])
    store = MemoryQuotas(Clock(wall_s=lambda: next(wall_s), monotonic_s=lambda: 7.0))
    quotas = Quotas(requests_per_min=2)
    refused = [(await store.reserve(ask(quotas, lease=str(n)))).refused for n in range(3)]
    assert refused == [None, None, "requests"]
