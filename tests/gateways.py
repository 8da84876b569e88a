"""A real gateway in the test's own event loop: uvicorn on the loopback, the application, SQLite, a control socket.

Only what stands behind it is scripted: `ScriptedProvider` for the variants, `Fleet` for the supervisor.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import openai
from blockbuster import blockbuster_ctx

from backends.errors import BackendError, NotFoundError
from backends.models.manifest import Card, Machine
from backends.supervisor.control import serve_control
from backends.types import VariantStatus, WorkerState
from gateway.api.parse import parse_chat
from gateway.lifespan import open_services
from gateway.paths import StatePaths
from gateway.routing.exchange import Exchange
from gateway.server import ApiServer
from gateway.services import Services
from gateway.settings import Settings
from gateway.telemetry import names
from tests.providers import Answer, ScriptedProvider

__all__ = (
    "CARD",
    "HELLO",
    "USAGE_EVENT",
    "Fleet",
    "RunningGateway",
    "behind",
    "events_of",
    "exchange",
    "local",
    "opened",
    "remote",
    "running",
    "tried",
    "until",
)

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}]}
PER_TOKEN = {"prompt_per_mtok_usd": 1.0, "completion_per_mtok_usd": 2.0}
USAGE_EVENT = b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}}\n\n'
"""What a server sends before `[DONE]` when asked for the usage."""


CARD = Card(
    machine=Machine(fingerprint="ab", cpu="x86", cores=2, memory_bytes=1, system="Linux"),
    measured_at_s=0.0,
    quality=0.75,
    quality_se=0.04,
    tasks={},
    ttft_s=0.1,
    prompt_tokens=50,
    tpot_s=0.01,
    batch_tokens_per_s=400.0,
    prefill_tokens_per_s=500.0,
    completion_tokens=30.0,
    cold_start_s=3.0,
    resident_bytes=10,
    task_set="checkable-1",
)


def remote(name: str, provider: ScriptedProvider, **fields: Any) -> dict[str, Any]:
    """A variant of engine `openai` at a scripted provider; the better its quality, the sooner it is chosen."""
    stated = {"quality": 0.5, "ttft_s": 0.1, "tpot_s": 0.01, "price": PER_TOKEN}
    return {"name": name, "kind": "remote", "engine": "openai", "source": provider.base_url} | stated | fields


def local(name: str, **fields: Any) -> dict[str, Any]:
    """A variant that a worker of this machine runs."""
    stated = {"quality": 0.5, "ttft_s": 0.1, "tpot_s": 0.01, "price": {"compute_per_hour_usd": 3.6}}
    return {"name": name, "kind": "quantized", "engine": "openvino", "source": "built:q8_0"} | stated | fields


@dataclass
class Fleet:
    """The supervisor as far as the gateway sees it; a test sets the statuses and what starting a variant does."""

    states: dict[str, VariantStatus] = field(default_factory=dict)
    starts: dict[str, VariantStatus | BackendError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """Variants that were asked to start, in order."""
    trouble: BackendError | None = None
    """What asking for the statuses raises."""

    def statuses(self) -> list[VariantStatus]:
        if self.trouble is not None:
            raise self.trouble
        return list(self.states.values())

    async def ensure(self, name: str) -> VariantStatus:
        self.asked.append(name)
        result = self.starts.get(name, NotFoundError(f"there is no `{name}`"))
        if isinstance(result, BackendError):
            raise result
        self.states[name] = result
        return result

    async def rest(self, name: str) -> VariantStatus:
        self.states[name] = VariantStatus(name=name, state=WorkerState.COLD)
        return self.states[name]


@dataclass(frozen=True, kw_only=True)
class RunningGateway:
    """A gateway that answers."""

    url: str
    server: ApiServer
    session: aiohttp.ClientSession
    client: openai.AsyncOpenAI

    @property
    def services(self) -> Services:
        """Its inner parts."""
        assert self.server.services is not None
        return self.server.services

    async def post(self, path: str, body: Any, **headers: str) -> tuple[aiohttp.ClientResponse, Any]:
        """Send JSON (or bytes as they are); the response and its decoded body."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(f"{self.url}{path}", data=data, headers=named) as response:
            return response, json.loads(await response.read())

    async def stream(self, path: str, body: dict[str, Any], **headers: str) -> list[Any]:
        """The events of a streamed answer."""
        data = json.dumps({**body, "stream": True}).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(f"{self.url}{path}", data=data, headers=named) as response:
            assert response.status == 200, await response.text()
            return events_of(await response.read())

    async def get(self, path: str) -> tuple[aiohttp.ClientResponse, Any]:
        """The response of a route and its decoded body."""
        async with self.session.get(f"{self.url}{path}") as response:
            return response, json.loads(await response.read())

    async def reported(self) -> None:
        """Have all requests told of that were answered, and what is kept of them written."""
        await until(lambda: not self.server.server_state.tasks)
        self.services.telemetry.report()
        await asyncio.gather(self.services.tracing.traces.flush(), self.services.log.flush())

    async def record(self, decision_id: str) -> dict[str, Any]:
        """The record of a decision, as soon as its outcome is there."""
        async with asyncio.timeout(3):
            while (found := (await self.get(f"/v1/decisions/{decision_id}"))[1])["outcome"] is None:
                await asyncio.sleep(0.01)
        return dict(found)


@asynccontextmanager
async def running(
    directory: Path, *variants: dict[str, Any], fleet: Fleet | None = None, **sections: Any
) -> AsyncIterator[RunningGateway]:
    """A gateway over these variants; sections of the configuration by name, no exploration unless said.

    While it runs, a call of ours that blocks the event loop raises `BlockingError`.
    """
    paths = StatePaths(root=directory)
    paths.run.mkdir(exist_ok=True)
    server = ApiServer(_settings(variants, sections), paths)
    # As the process of its own would inherit it; only such a socket is known to asyncio as TCP, and sends at once.
    listening = socket.socket(fileno=socket.create_server(("127.0.0.1", 0)).detach())
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with serve_control(fleet or Fleet(), paths.control_socket):
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            await until(lambda: server.started or serving.done(), within_s=10)
            async with (
                aiohttp.ClientSession() as session,
                openai.AsyncOpenAI(
                    base_url=f"{url}/v1",
                    api_key="none",
                    max_retries=0,
                    http_client=openai.DefaultAsyncHttpxClient(verify=False),  # Reading certificates takes long.
                ) as client,
            ):
                with blockbuster_ctx(["gateway", "backends", "policies"]):
                    yield RunningGateway(url=url, server=server, session=session, client=client)
        finally:
            server.should_exit = True
            await serving
            listening.close()


@asynccontextmanager
async def opened(
    directory: Path, *variants: dict[str, Any], fleet: Fleet | None = None, **sections: Any
) -> AsyncIterator[Services]:
    """The inner parts of a gateway without its HTTP server."""
    paths = StatePaths(root=directory)
    paths.run.mkdir(exist_ok=True)
    async with (
        serve_control(fleet or Fleet(), paths.control_socket),
        open_services(_settings(variants, sections), paths) as services,
    ):
        yield services


def exchange(services: Services, **fields: Any) -> Exchange:
    """A chat request that has just been taken up."""
    request = parse_chat(json.dumps(HELLO | fields).encode(), {})
    return Exchange(request, clock=services.clock, log=services.log, request_id="req_1")


def tried(taken: Exchange) -> list[tuple[str, str, str | None]]:
    """Its attempts as they ended: variant, role, error type; each is a span of its own that says the same."""
    spans = [span.attributes for span in taken.timeline.spans if span.name == "attempt"]
    told = [(found[names.VARIANT], found[names.ROLE], found.get(names.ERROR_TYPE)) for found in spans]
    ended = [(attempt.variant, str(attempt.role), attempt.error_type) for attempt in taken.attempts]
    assert sorted(told, key=str) == sorted(ended, key=str)
    return ended


def _settings(variants: Sequence[dict[str, Any]], sections: dict[str, Any]) -> Settings:
    return msgspec.convert({"variants": variants, "policy": {"epsilon": 0.0}, **sections}, Settings)


@asynccontextmanager
async def behind(
    directory: Path, *scripts: Answer, **sections: Any
) -> AsyncIterator[tuple[RunningGateway, list[ScriptedProvider]]]:
    """A gateway over one provider per script, tried in this order: `v0`, `v1`, …"""
    async with AsyncExitStack() as stack:
        providers = [await stack.enter_async_context(ScriptedProvider(script)) for script in scripts]
        variants = [
            remote(f"v{number}", provider, quality=0.9 - number / 10) for number, provider in enumerate(providers)
        ]
        policy = {"epsilon": 0.0, "priorities": {"balanced": {"accuracy": 1}}}
        yield await stack.enter_async_context(running(directory, *variants, policy=policy, **sections)), providers


def events_of(body: bytes) -> list[Any]:
    """The decoded events of a finished stream; `[DONE]` as that text."""
    texts = [event.removeprefix(b"data: ") for event in body.split(b"\n\n") if event]
    return [text.decode() if text == b"[DONE]" else json.loads(text) for text in texts]


async def until(condition: Callable[[], bool], *, within_s: float = 2.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)
