"""What replicas tell each other through a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import numpy as np
import pytest

from backends.errors import UpstreamError
from backends.models.store import Store
from backends.supervisor.control import ControlClient
from backends.types import Variant
from gateway.clock import SYSTEM_CLOCK
from gateway.routing.candidates import freeze
from gateway.routing.catalogue import Catalogue
from gateway.shared.redis import SharedRedis, open_redis
from gateway.shared.replicas import LIFE_S, Replicas
from gateway.shared.settings import CacheSettings
from tests.gateways import PER_TOKEN, local, until
from tests.redis_server import RedisServer, redis_server

REMOTE = {"name": "far", "kind": "remote", "engine": "openai", "source": "http://127.0.0.1:9", "price": PER_TOKEN}
VARIANTS = (REMOTE | {"max_running": 4}, local("near"))

NewReplica = Callable[[], "Replica"]


class Replica:
    """One of several gateways, as far as the others see it."""

    def __init__(self, redis: SharedRedis | None, directory: Path) -> None:
        self.catalogue = Catalogue(
            [msgspec.convert(variant, Variant) for variant in VARIANTS],
            control=ControlClient(directory / "control.sock"),
            store=Store(directory),
        )
        self.redis = redis
        self.replicas = Replicas(redis, catalogue=self.catalogue, rng=np.random.default_rng(0))

    def break_down(self, variant: str) -> None:
        """Have its circuit open."""
        while self.catalogue.health.shut_s(variant) is None:
            with pytest.raises(UpstreamError), self.catalogue.health.watch(variant):
                raise UpstreamError("no")


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as found:
        yield found


@pytest.fixture
def server(shared_server: RedisServer) -> Iterator[RedisServer]:
    shared_server.empty()
    shared_server.flush()
    yield shared_server
    shared_server.thaw()


@pytest.fixture
async def three(server: RedisServer, tmp_path: Path) -> AsyncIterator[list[Replica]]:
    async with AsyncExitStack() as stack:
        settings = CacheSettings(url=server.url, timeout_s=0.2)
        found = []
        for _ in range(3):
            redis = await stack.enter_async_context(open_redis(settings, clock=SYSTEM_CLOCK))
            found.append(Replica(redis, tmp_path))
        yield found


async def all_beat(replicas: list[Replica]) -> None:
    for replica in replicas * 2:
        await replica.replicas.beat()


async def test_without_redis_a_replica_is_alone(tmp_path: Path) -> None:
    alone = Replica(None, tmp_path)
    await alone.replicas.keep()
    await alone.replicas.aclose()
    assert alone.replicas.count == 1


async def test_replicas_count_each_other(three: list[Replica]) -> None:
    await all_beat(three)
    assert [replica.replicas.count for replica in three] == [3, 3, 3]


async def test_one_that_leaves_or_falls_silent_is_soon_counted_no_more(
    three: list[Replica], server: RedisServer
) -> None:
    one, other, _ = three
    await all_beat(three)
    await other.replicas.aclose()
    with server.client() as client:
        [silent] = [key for key in client.hkeys("trilemma:replicas") if key.decode() == three[2].replicas._name]
        client.hset("trilemma:replicas", silent, b"1000000000000 {}")  # Since 2001.
    for _ in range(LIFE_S):
        await one.replicas.beat()
    assert one.replicas.count == 1


async def test_what_others_have_at_a_server_they_share_counts_as_its_load(three: list[Replica]) -> None:
    one, other, third = three
    with other.catalogue.lease("far"), other.catalogue.lease("far"), third.catalogue.lease("far"):
        await all_beat(three)
        with one.catalogue.lease("far"):
            [candidate] = [found for found in freeze(one.catalogue.views()) if found.name == "far"]
        assert (candidate.running, candidate.queued) == (4, 0)
        assert not one.catalogue.idle("far")
    await all_beat(three)
    assert one.catalogue.view("far").others_in_flight == 0


async def test_a_local_variant_of_another_machine_is_another_one(three: list[Replica]) -> None:
    one, other, _ = three
    other.break_down("near")
    await all_beat(three)
    assert one.catalogue.health.shut_s("near") is None


async def test_a_circuit_that_opens_in_one_replica_opens_in_all_and_is_not_told_on(three: list[Replica]) -> None:
    one, other, third = three
    other.break_down("far")
    await all_beat(three)
    assert one.catalogue.health.shut_s("far")
    assert third.catalogue.health.shut_s("far")
    assert one.catalogue.health.open_for_s() == {}, "only who found out says so, or it would stay open for ever"


@pytest.mark.parametrize("word", [b"", b"\xff", b"{}", b"9999999999999 {}", b"0 not json"])
async def test_a_word_that_nobody_understands_is_passed_over(
    three: list[Replica], server: RedisServer, word: bytes
) -> None:
    with server.client() as client:
        client.hset("trilemma:replicas", "stranger", word)
    await all_beat(three)
    assert three[0].replicas.count == 3


async def test_what_another_version_says_is_understood_as_far_as_it_goes(
    three: list[Replica], server: RedisServer
) -> None:
    with server.client() as client:
        seconds, _ = client.time()
        for name, word in {"newer": b'{"in_flight": {"far": 2}, "mood": 1}', "strange": b'{"in_flight": 7}'}.items():
            client.hset("trilemma:replicas", name, b"%d %s" % (seconds * 1000, word))
    await three[0].replicas.beat()
    assert three[0].replicas.count == 3
    assert three[0].catalogue.view("far").others_in_flight == 2


async def test_while_redis_is_away_the_count_stays_and_the_load_is_forgotten(
    three: list[Replica], server: RedisServer
) -> None:
    one, other, _ = three
    with other.catalogue.lease("far"):
        await all_beat(three)
    server.freeze()
    for _ in range(LIFE_S):
        await one.replicas.beat()
    assert one.catalogue.view("far").others_in_flight == 1
    await one.replicas.beat()
    assert one.catalogue.view("far").others_in_flight == 0
    assert one.replicas.count == 3


async def test_after_redis_forgot_everything_nobody_believes_to_be_alone(
    three: list[Replica], server: RedisServer
) -> None:
    await all_beat(three)
    server.flush()
    await three[0].replicas.beat()
    assert three[0].replicas.count == 3
    await all_beat(three)
    assert three[0].replicas.count == 3


async def test_replicas_that_run_find_each_other(three: list[Replica]) -> None:
    keeping = [asyncio.create_task(replica.replicas.keep()) for replica in three]
    await until(lambda: all(replica.replicas.count == 3 for replica in three), within_s=5)
    for task in keeping:
        task.cancel()
    await asyncio.gather(*keeping, return_exceptions=True)
