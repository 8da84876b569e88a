"""What is kept, in memory and in a real Redis: the better answer, for its time, and nothing that is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.caching.redis_store import LOCAL_S, RedisStore
from gateway.caching.store import AnswerStore, MemoryStore
from gateway.caching.stored import MARK, Said, StoredAnswer, decoded, encoded
from gateway.clock import SYSTEM_CLOCK, Clock
from gateway.shared.redis import open_redis
from gateway.shared.settings import CacheSettings
from tests.redis_server import RedisServer, redis_server

KEY = "trilemma:cache:a:exact:1"


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.clock = Clock(wall_s=lambda: self.now_s, monotonic_s=lambda: self.now_s)


def answer(text: str = "yes", *, quality: float | None = 0.5) -> StoredAnswer:
    return StoredAnswer(
        tenant="a",
        decision_id="dec_1",
        variant="v0",
        quality=quality,
        accuracy=0.6,
        made_at_s=1000.0,
        said=(Said(0, {"content": text}, "stop"),),
        prompt_tokens=3,
        completion_tokens=5,
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as found:
        yield found


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def redis_store(server: RedisServer, time: Time) -> AsyncIterator[RedisStore]:
    server.flush()
    async with open_redis(CacheSettings(url=server.url, timeout_s=0.5), clock=SYSTEM_CLOCK) as redis:
        assert redis is not None
        yield RedisStore(redis, max_bytes=2**20, max_entry_bytes=2**16, clock=time.clock)


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, time: Time, redis_store: RedisStore) -> AnswerStore:
    return redis_store if request.param == "redis" else MemoryStore(max_bytes=2**20, clock=time.clock)


async def test_what_is_kept_is_found_until_it_is_dropped(store: AnswerStore) -> None:
    assert await store.get(KEY) is None
    await store.put(KEY, answer(), ttl_s=60)
    assert await store.get(KEY) == answer()
    await store.drop(KEY)
    assert await store.get(KEY) is None


@pytest.mark.parametrize(
    ("first", "second", "kept"), [(0.5, 0.6, 0.6), (0.6, 0.5, 0.6), (0.5, None, 0.5), (None, 0.1, 0.1)]
)
async def test_the_better_answer_stays_whichever_comes_first(
    store: AnswerStore, time: Time, first: float | None, second: float | None, kept: float
) -> None:
    for quality in (first, second):
        await store.put(KEY, answer(quality=quality), ttl_s=60)
    for later_s in (0.0, LOCAL_S):
        time.now_s += later_s
        found = await store.get(KEY)
        assert found is not None
        assert found.quality == kept


async def test_an_answer_of_the_same_quality_takes_the_place_of_the_older_one(store: AnswerStore) -> None:
    for text in ("old", "new"):
        await store.put(KEY, answer(text), ttl_s=60)
    assert await store.get(KEY) == answer("new")


async def test_memory_forgets_when_the_time_is_over(time: Time) -> None:
    store = MemoryStore(max_bytes=2**20, clock=time.clock)
    await store.put(KEY, answer(), ttl_s=60)
    time.now_s += 59
    assert await store.get(KEY) is not None
    time.now_s += 2
    assert await store.get(KEY) is None


async def test_redis_forgets_when_the_time_is_over(redis_store: RedisStore, time: Time) -> None:
    await redis_store.put(KEY, answer(), ttl_s=0.05)
    time.now_s += LOCAL_S
    await asyncio.sleep(0.1)
    assert await redis_store.get(KEY) is None


@settings(max_examples=50)
@given(lengths=st.lists(st.integers(0, 3000), min_size=1, max_size=40))
def test_memory_never_holds_more_than_it_may_and_keeps_what_was_used_last(lengths: list[int]) -> None:
    async def run() -> None:
        store = MemoryStore(max_bytes=10_000, clock=Time().clock)
        for number, length in enumerate(lengths):
            await store.put(f"{KEY}{number}", answer("x" * length), ttl_s=60)
            assert store.size_bytes <= 10_000
            assert await store.get(f"{KEY}{number}") == answer("x" * length)

    asyncio.run(run())


async def test_an_answer_larger_than_the_store_is_not_kept(time: Time) -> None:
    store = MemoryStore(max_bytes=1000, clock=time.clock)
    await store.put(KEY, answer("x" * 1000), ttl_s=60)
    assert await store.get(KEY) is None


async def test_replicas_share_what_redis_keeps_and_know_within_seconds_what_was_dropped(
    server: RedisServer, redis_store: RedisStore, time: Time
) -> None:
    async with open_redis(CacheSettings(url=server.url, timeout_s=0.5), clock=SYSTEM_CLOCK) as redis:
        assert redis is not None
        other = RedisStore(redis, max_bytes=2**20, max_entry_bytes=2**16, clock=time.clock)
        await redis_store.put(KEY, answer(), ttl_s=60)
        assert await other.get(KEY) == answer()
        await redis_store.drop(KEY)
        time.now_s += LOCAL_S
        assert await other.get(KEY) is None


async def test_a_redis_that_is_full_frozen_or_gone_is_a_miss(server: RedisServer, redis_store: RedisStore) -> None:
    server.fill()
    await redis_store.put(KEY, answer("x" * 2000), ttl_s=60)
    server.empty()
    server.freeze()
    try:
        assert await redis_store.get("trilemma:cache:a:exact:2") is None
        await redis_store.drop(KEY)
    finally:
        server.thaw()


@pytest.mark.parametrize("value", [b"", b"A2", b"A20.500000", b"\xff" * 64, encoded(answer())[:-1], b"x" * 200_000])
async def test_bytes_in_redis_that_are_no_answer_are_a_miss(
    server: RedisServer, redis_store: RedisStore, value: bytes
) -> None:
    with server.client() as client:
        client.set(KEY, value)
    assert await redis_store.get(KEY) is None
    await redis_store.put(KEY, answer(), ttl_s=60)


async def test_a_redis_key_of_another_type_is_a_miss(server: RedisServer, redis_store: RedisStore) -> None:
    with server.client() as client:
        client.rpush(KEY, b"x")
    assert await redis_store.get(KEY) is None
    await redis_store.put(KEY, answer(), ttl_s=60)


@settings(max_examples=300)
@given(data=st.binary(max_size=200), head=st.sampled_from([b"", MARK, MARK + b"0.500000"]))
@example(data=msgspec.msgpack.encode({"tenant": "a"}), head=MARK + b"0.500000")
def test_no_bytes_make_reading_fail(data: bytes, head: bytes) -> None:
    found = decoded(head + data)
    assert found is None or isinstance(found, StoredAnswer)


@settings(max_examples=300)
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255), quality=st.floats(0, 1) | st.none())
def test_a_damaged_answer_is_none_or_still_well_formed(place: int, byte: int, quality: float | None) -> None:
    data = bytearray(encoded(answer("some text", quality=quality)))
    data[place % len(data)] = byte
    found = decoded(bytes(data))
    assert found is None or msgspec.convert(msgspec.to_builtins(found), StoredAnswer) == found


@given(text=st.text(), quality=st.floats(0, 1) | st.none())
def test_what_is_written_is_read(text: str, quality: float | None) -> None:
    assert decoded(encoded(answer(text, quality=quality))) == answer(text, quality=quality)
