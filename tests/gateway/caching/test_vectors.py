"""The nearest vectors, in memory and in Redis vector sets, by one definition of likeness."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from gateway.caching import vectors as module
from gateway.caching.redis_vectors import RedisVectors
from gateway.caching.vectors import MemoryVectors, Vector, Vectors
from gateway.clock import SYSTEM_CLOCK
from gateway.shared.redis import open_redis
from gateway.shared.settings import CacheSettings
from tests.redis_server import redis_server

LENGTH = 384


def some(count: int, *, seed: int = 0) -> list[Vector]:
    rng = np.random.default_rng(seed)
    return [row.astype(np.float32) for row in rng.normal(size=(count, LENGTH))]


def cosine(a: Vector, b: Vector) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


@pytest.fixture(params=["memory", "redis"])
async def found(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Vectors]:
    if request.param == "memory":
        yield MemoryVectors()
        return
    with redis_server(tmp_path) as server:
        async with open_redis(CacheSettings(url=server.url, timeout_s=1.0), clock=SYSTEM_CLOCK) as redis:
            assert redis is not None
            yield RedisVectors(redis)


async def test_the_nearest_come_first_with_their_cosine_and_no_partition_sees_another(found: Vectors) -> None:
    rows, asked = some(50), some(1, seed=1)[0]
    for number, row in enumerate(rows):
        await found.add("mine", row, f"key {number}", ttl_s=60)
    await found.add("theirs", asked, "exactly this", ttl_s=60)
    nearest = await found.nearest("mine", asked)
    best = sorted(range(50), key=lambda number: -cosine(rows[number], asked))[:3]
    assert [key for key, _ in nearest] == [f"key {number}" for number in best]
    assert [alike for _, alike in nearest] == pytest.approx([cosine(rows[n], asked) for n in best], abs=1e-5)
    assert await found.nearest("nobody's", asked) == []


async def test_what_is_dropped_or_put_anew_is_found_no_more_as_it_was(found: Vectors) -> None:
    one, other = some(2)
    await found.add("p", one, "key", ttl_s=60)
    await found.add("p", other, "key", ttl_s=60)
    [(_, alike)] = await found.nearest("p", one)
    assert alike == pytest.approx(cosine(one, other), abs=1e-5)
    await found.drop("p", "key")
    await found.drop("p", "key")
    assert await found.nearest("p", one) == []


async def test_vectors_of_another_length_are_not_compared(found: Vectors) -> None:
    await found.add("p", np.ones(4, np.float32), "key", ttl_s=60)
    assert await found.nearest("p", np.ones(8, np.float32)) == []


async def test_memory_is_bounded_by_partition_and_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 8)
    found, rows = MemoryVectors(max_bytes=3 * 8 * LENGTH * 4), some(40)
    for partition in range(5):
        for number, row in enumerate(rows):
            await found.add(f"p{partition}", row, f"key {number}", ttl_s=60)
            assert found.size_bytes <= 3 * 8 * LENGTH * 4
    assert await found.nearest("p0", rows[-1]) == []
    [(key, alike), *_] = await found.nearest("p4", rows[-1])
    assert (key, alike) == ("key 39", pytest.approx(1.0))


async def test_dropping_in_any_order_leaves_the_rest_to_be_found() -> None:
    found, rows = MemoryVectors(), some(20)
    for number, row in enumerate(rows):
        await found.add("p", row, f"key {number}", ttl_s=60)
    for number in range(0, 20, 2):
        await found.drop("p", f"key {number}")
    for number in range(1, 20, 2):
        [(key, alike), *_] = await found.nearest("p", rows[number])
        assert (key, alike) == (f"key {number}", pytest.approx(1.0))
