"""Requests that are made slow for real, each in one way, by a tenant that was promised better."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.types import VariantStatus, WorkerState
from gateway.tenants.keys import IssuedKey
from gateway.tenants.types import Role
from policies.promises.types import Sla
from tests.gateways import HELLO, USAGE_EVENT, Fleet, RunningGateway, local, remote, running
from tests.providers import Answer, ScriptedProvider, chat_events
from tests.redis_server import redis_server, slow_way
from tests.tenancy import bearer, with_tenant

__all__ = ("CAUSES", "QUICK", "SLOW_DECODE", "Cause", "Slow")

PROMISED_S = 0.2
QUICK = Answer(events=[*chat_events("Hel", "lo"), USAGE_EVENT])
SLOW_DECODE = Answer(events=[*chat_events(*["word "] * 6), USAGE_EVENT], every_s=0.1)


@dataclass(frozen=True, kw_only=True)
class Slow:
    """A gateway that has just answered slowly."""

    gateway: RunningGateway
    key: IssuedKey
    """Of an operator of the tenant `law`, whose requests they were."""
    decisions: tuple[str, ...]
    """Of its answers; one of them was slow for the reason."""

    async def written(self) -> None:
        """Wait until the traces and decisions are in the database."""
        await self.gateway.reported()


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One way to be slow."""

    stage: str
    """What is to be blamed."""
    sentence: str
    """A pattern of what the page says."""
    made: Callable[[Path], AbstractAsyncContextManager[Slow]]


@dataclass
class SlowFleet(Fleet):
    """A supervisor whose variants take a while to start."""

    start_s: float = 0.6

    async def ensure(self, name: str) -> VariantStatus:
        await asyncio.sleep(self.start_s)
        return await super().ensure(name)


async def asked(gateway: RunningGateway, *bodies: dict[str, Any]) -> Slow:
    """Send these at once, and stream the answers."""
    key = await with_tenant(gateway, "law", role=Role.OPERATOR, sla=Sla(latency_p95_s=PROMISED_S))

    async def one(body: dict[str, Any]) -> str:
        request = HELLO | {"stream": True} | body
        path, headers = f"{gateway.url}/v1/chat/completions", bearer(key)
        async with gateway.session.post(path, json=request, headers=headers) as response:
            await response.read()
            assert response.status == 200
            return str(response.headers["x-trilemma-decision"])

    slow = Slow(gateway=gateway, key=key, decisions=tuple(await asyncio.gather(*(one(body) for body in bodies))))
    await slow.written()
    return slow


@asynccontextmanager
async def full_queue(directory: Path) -> AsyncIterator[Slow]:
    """Two requests, and one place."""
    async with (
        ScriptedProvider(SLOW_DECODE) as provider,
        running(directory, remote("v0", provider, max_running=1)) as gateway,
    ):
        yield await asked(gateway, {"max_tokens": 40}, {"max_tokens": 41})


@asynccontextmanager
async def slow_decode(directory: Path) -> AsyncIterator[Slow]:
    """A variant that takes ten times what its card says for each token."""
    async with (
        ScriptedProvider(SLOW_DECODE) as provider,
        running(directory, remote("v0", provider, tpot_s=0.001)) as gateway,
    ):
        yield await asked(gateway, {})


@asynccontextmanager
async def cold_start(directory: Path) -> AsyncIterator[Slow]:
    """A variant that has to be started."""
    worker = directory / "worker"
    warm = VariantStatus(name="v0", state=WorkerState.WARM, socket_path=str(worker))
    fleet = SlowFleet(states={"v0": VariantStatus(name="v0", state=WorkerState.COLD)}, starts={"v0": warm})
    async with (
        ScriptedProvider(QUICK, socket_path=worker),
        running(directory, local("v0"), fleet=fleet) as gateway,
    ):
        yield await asked(gateway, {})


@asynccontextmanager
async def slow_redis(directory: Path) -> AsyncIterator[Slow]:
    """A Redis that answers late, but not too late; greedy decoding, so that the cache is looked into."""
    with redis_server(directory / "redis") as server:
        async with (
            ScriptedProvider(QUICK) as provider,
            slow_way(server, answers_after_s=0.2) as url,
            running(directory, remote("v0", provider), cache={"url": url, "timeout_s": 1.0}) as gateway,
        ):
            yield await asked(gateway, {"temperature": 0})


CAUSES = (
    Cause(
        stage="queue",
        sentence=r"Slow because it waited .* in the queue: the one place of v0 was taken",
        made=full_queue,
    ),
    Cause(
        stage="generate",
        sentence=r"Slow because v0 took .* to generate 5 tokens, .* tokens/s where .* had been predicted",
        made=slow_decode,
    ),
    Cause(
        stage="load",
        sentence=r"Slow because v0 was not running, and starting it took",
        made=cold_start,
    ),
    Cause(
        stage="redis",
        sentence=r"Slow because it waited .* for Redis in \d+ calls?, the longest",
        made=slow_redis,
    ),
)
"""Every cause that the console has to tell from the others."""
