"""The queue in front of real calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.admission.types import Outcome, Tier
from gateway.errors import RestartingError
from gateway.tenants.types import Tenant
from tests.gateways import HELLO, Fleet, RunningGateway, exchange, local, opened, remote, running, until
from tests.providers import Answer, ScriptedProvider, completion_body

SLOW = Answer(body=completion_body("yes"), first_after_s=0.1)
POLICY = {"epsilon": 0.0, "priorities": {"balanced": {"accuracy": 1}}}


@asynccontextmanager
async def two_places(tmp_path: Path, **admission: Any) -> AsyncIterator[RunningGateway]:
    """A gateway whose one variant answers two requests at a time, each in a tenth of a second."""
    async with (
        ScriptedProvider(SLOW) as provider,
        running(
            tmp_path,
            remote("a", provider, max_running=2),
            policy=POLICY,
            admission=admission,
            cache={"exact": False},
        ) as gateway,
    ):
        yield gateway


async def ask(gateway: RunningGateway, **fields: Any) -> tuple[int, Any, Any]:
    response, body = await gateway.post("/v1/chat/completions", HELLO | fields)
    return response.status, body, response.headers


async def test_a_variant_never_has_more_than_its_places(tmp_path: Path) -> None:
    async with two_places(tmp_path) as gateway:
        asking = [asyncio.create_task(ask(gateway)) for _ in range(8)]
        most = 0
        while not all(task.done() for task in asking):
            most = max(most, gateway.services.catalogue.view("a").in_flight)
            await asyncio.sleep(0.005)
        assert [task.result()[0] for task in asking] == [200] * 8
        assert most == 2
        waited = (await gateway.record(asking[-1].result()[2]["X-Trilemma-Decision"]))["outcome"]["queue_s"]
        assert 0.25 < waited < 1.0, "three turns of a tenth of a second before it"
        assert gateway.services.admission.stats.at_work == 0


async def test_a_full_queue_says_when_to_come_back(tmp_path: Path) -> None:
    async with two_places(tmp_path, max_queued=1) as gateway:
        answers = await asyncio.gather(*(ask(gateway) for _ in range(5)))
        refused = [(body, headers) for status, body, headers in answers if status == 503]
        assert len(refused) == 2
        for body, headers in refused:
            assert (body["error"]["type"], body["error"]["code"]) == ("overloaded", "full")
            assert int(headers["Retry-After"]) >= 1


async def test_a_request_whose_time_runs_out_in_the_queue_is_told_so(tmp_path: Path) -> None:
    async with two_places(tmp_path, max_wait_s=0.02) as gateway:
        busy = [asyncio.create_task(ask(gateway)) for _ in range(2)]
        await until(lambda: gateway.services.admission.stats.at_work == 2)
        status, body, headers = await ask(gateway)
        assert (status, body["error"]["code"]) == (503, "expired")
        assert int(headers["Retry-After"]) >= 1
        await asyncio.gather(*busy)


async def test_a_request_that_has_to_wait_is_refused_at_once_where_no_time_is_left_for_that(tmp_path: Path) -> None:
    async with two_places(tmp_path) as gateway:
        alone, *_ = await ask(gateway, slo={"ttft_s": 0.02})
        assert alone == 200, "late at best, but nobody was in its way"
        busy = [asyncio.create_task(ask(gateway)) for _ in range(2)]
        await until(lambda: gateway.services.admission.stats.at_work == 2)
        status, body, _ = await ask(gateway, slo={"ttft_s": 0.02})
        assert (status, body["error"]["code"]) == (503, "too_late")
        await asyncio.gather(*busy)


async def test_a_policy_that_picks_one_variant_for_all_still_has_them_queue(tmp_path: Path) -> None:
    async with (
        ScriptedProvider(SLOW) as good,
        ScriptedProvider(SLOW) as poor,
        running(
            tmp_path,
            remote("good", good, max_running=2, quality=0.9),
            remote("poor", poor, max_running=2, quality=0.2),
            policy=POLICY,
            cache={"exact": False},
        ) as gateway,
    ):
        asking = [asyncio.create_task(ask(gateway)) for _ in range(12)]
        await until(lambda: sum(gateway.services.admission.stats.waiting.values()) == 8)
        assert gateway.services.catalogue.view("good").in_flight <= 4, "as many as the pool has places"
        assert {status for status, _, _ in await asyncio.gather(*asking)} == {200}
        assert gateway.services.admission.stats.at_work == 0


async def test_a_tenant_is_queued_at_the_tier_that_it_may_have(tmp_path: Path) -> None:
    async with two_places(tmp_path) as gateway:
        busy = [asyncio.create_task(ask(gateway)) for _ in range(2)]
        await until(lambda: gateway.services.admission.stats.at_work == 2)
        services, tiers = gateway.services, list[Tier]()
        for number, highest in enumerate(("flex", "default", "priority")):
            tenant = Tenant(id=highest, max_service_tier=highest)  # type: ignore[arg-type]
            one = exchange(services, seed=number, service_tier="priority")
            one.tenant = tenant
            entering = asyncio.create_task(services.admission.enter(one, {"a"}))
            await until(lambda: bool(services.admission.stats.waiting))
            tiers += [tier for _, tier in services.admission.stats.waiting]
            entering.cancel()
            await asyncio.gather(entering, return_exceptions=True)
        assert tiers == [Tier.FLEX, Tier.DEFAULT, Tier.PRIORITY]
        await asyncio.gather(*busy)


async def test_a_caller_that_leaves_gives_its_place_in_the_queue_back(tmp_path: Path) -> None:
    async with two_places(tmp_path) as gateway:
        admission = gateway.services.admission
        asking = [asyncio.create_task(ask(gateway)) for _ in range(5)]
        await until(lambda: sum(admission.stats.waiting.values()) == 3)
        for task in asking[2:]:
            task.cancel()
        await until(lambda: not admission.stats.waiting)
        assert admission.stats.outcomes[Outcome.CANCELLED] == 3
        await asyncio.gather(*asking[:2])


async def test_whoever_waits_when_the_process_has_to_stop_is_sent_elsewhere(tmp_path: Path) -> None:
    async with ScriptedProvider(SLOW) as provider, opened(tmp_path, remote("a", provider, max_running=1)) as services:
        first, second = exchange(services), exchange(services, seed=1)
        pool = frozenset({"a"})
        await services.admission.enter(first, pool)
        waiting = asyncio.create_task(services.admission.enter(second, pool))
        await asyncio.sleep(0)
        services.drain.begin(grace_s=60.0)
        with pytest.raises(RestartingError):
            await waiting


async def test_a_pool_that_cannot_answer_lets_the_decision_say_why(tmp_path: Path) -> None:
    async with running(tmp_path, local("a"), fleet=Fleet(), policy=POLICY) as gateway:
        status, body, _ = await ask(gateway)
        assert status == 503
        assert "no variant can answer now" in body["error"]["message"]


async def test_a_busy_pinned_variant_holds_up_no_other(tmp_path: Path) -> None:
    async with (
        ScriptedProvider(SLOW) as slow,
        ScriptedProvider(Answer(body=completion_body("yes"))) as quick,
        running(
            tmp_path,
            remote("slow", slow, max_running=1),
            remote("quick", quick),
            policy=POLICY,
            cache={"exact": False},
        ) as gateway,
    ):
        busy = [asyncio.create_task(ask(gateway, model="slow")) for _ in range(3)]
        await until(lambda: gateway.services.admission.stats.at_work == 1)
        assert (await ask(gateway, model="quick"))[0] == 200
        assert not any(task.done() for task in busy)
        assert {status for status, _, _ in await asyncio.gather(*busy)} == {200}
