"""Answers to prompts that mean the same: to whom, how alike, and what a wrong one teaches.

The scripted embedder takes the similarity to the direction that all prompts share from the prompt's last word.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from gateway.tenants.changes import Author
from gateway.tenants.keys import KeyTerms
from gateway.tenants.types import SemanticCaching, Tenant
from tests.gateways import RunningGateway, remote, running
from tests.providers import Answer, ScriptedProvider, completion_body
from tests.redis_server import RedisServer, redis_server

CHAT = "/v1/chat/completions"
ANSWER = Answer(body=completion_body("Paris"))
KEYS: dict[str, str] = {}
"""Of the tenants of the running gateway."""
ALIKE = SemanticCaching(threshold=0.9)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as found:
        yield found


@pytest.fixture(params=["memory", "redis"])
def cache(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The `cache` section: in memory, and in a real Redis."""
    if request.param == "memory":
        return {"embedder": "minilm"}
    redis: RedisServer = request.getfixturevalue("server")
    redis.flush()
    return {"embedder": "minilm", "url": redis.url, "timeout_s": 0.5}


class Embedder:
    """Vectors of two numbers over HTTP."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.delay_s = 0.0
        self.base_url = ""

    async def embed(self, request: web.Request) -> web.Response:
        text = (await request.json())["input"]
        self.texts.append(text)
        await asyncio.sleep(self.delay_s)
        alike = float(text.split()[-1])
        vector = np.array([alike, np.sqrt(1 - alike**2)], dtype="<f4")
        entry = {"index": 0, "object": "embedding", "embedding": base64.b64encode(vector.tobytes()).decode()}
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return web.json_response({"object": "list", "model": "m", "data": [entry], "usage": usage})


@asynccontextmanager
async def embedding() -> AsyncIterator[Embedder]:
    embedder, app = Embedder(), web.Application()
    app.router.add_post("/v1/embeddings", embedder.embed)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    embedder.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield embedder
    finally:
        await runner.cleanup()


@asynccontextmanager
async def answering(
    directory: Path, cache: dict[str, Any], *tenants: Tenant, **sections: Any
) -> AsyncIterator[tuple[RunningGateway, ScriptedProvider, Embedder]]:
    """A gateway for these tenants, over one variant and an embedder."""
    async with ScriptedProvider(ANSWER) as provider, embedding() as embedder:
        minilm = remote("minilm", embedder, capabilities=["embeddings"])  # type: ignore[arg-type]
        async with running(directory, remote("v0", provider), minilm, cache=cache, **sections) as gateway:
            KEYS.clear()
            for tenant in tenants or (Tenant(id="a", semantic_cache=ALIKE),):
                KEYS[tenant.id] = await _key(gateway, tenant)
            yield gateway, provider, embedder


async def _key(gateway: RunningGateway, tenant: Tenant) -> str:
    author = Author(name="test", now_s=0.0)
    directory = gateway.services.directory
    _, issued = await directory.change(lambda store: store.add(tenant, author=author, key=KeyTerms()))
    assert issued is not None
    return f"Bearer {issued.text}"


async def ask(gateway: RunningGateway, text: str, *, tenant: str = "a", **fields: Any) -> str:
    """The cache's outcome."""
    return (await asked(gateway, text, tenant=tenant, **fields))[0]


async def asked(gateway: RunningGateway, text: str, *, tenant: str = "a", **fields: Any) -> tuple[str, str]:
    """The cache's outcome, and the id of the decision."""
    body = {"messages": [{"role": "user", "content": text}], "temperature": 0} | fields
    response, answer = await gateway.post(CHAT, body, Authorization=KEYS[tenant])
    assert response.status == 200, answer
    assert answer["choices"][0]["message"]["content"] == "Paris"
    return response.headers["X-Trilemma-Cache"], response.headers["X-Trilemma-Decision"]


async def test_a_prompt_that_is_alike_enough_is_answered_again(tmp_path: Path, cache: dict[str, Any]) -> None:
    async with answering(tmp_path, cache) as (gateway, provider, _):
        assert await ask(gateway, "the capital of France 1.0") == "miss"
        assert await ask(gateway, "France's capital 0.95") == "semantic"
        assert await ask(gateway, "the capital of Spain 0.89") == "miss"
        assert await ask(gateway, "the capital of France 1.0") == "exact"
        assert len(provider.requests) == 2


async def test_no_tenant_is_given_what_another_asked(tmp_path: Path, cache: dict[str, Any]) -> None:
    both = (Tenant(id="a", semantic_cache=ALIKE), Tenant(id="b", semantic_cache=ALIKE))
    async with answering(tmp_path, cache, *both) as (gateway, provider, _):
        assert await ask(gateway, "secret 1.0", tenant="a") == "miss"
        assert await ask(gateway, "secret 1.0", tenant="b") == "miss"
        assert await ask(gateway, "secret! 1.0", tenant="b") == "semantic"
        assert len(provider.requests) == 2


async def test_a_tenant_that_did_not_ask_for_it_is_never_embedded(tmp_path: Path, cache: dict[str, Any]) -> None:
    async with answering(tmp_path, cache, Tenant(id="a")) as (gateway, _, embedder):
        assert [await ask(gateway, f"{word} 1.0") for word in ("one", "two")] == ["miss", "miss"]
        assert embedder.texts == []


OTHERS: list[dict[str, Any]] = [
    {"max_tokens": 9},
    {"model": "v0"},
    {"response_format": {"type": "text"}},
    {"messages": [{"role": "system", "content": "in French"}, {"role": "user", "content": "two 1.0"}]},
    {"messages": [{"role": "assistant", "content": "two 1.0"}]},
]


async def test_everything_but_the_last_message_must_be_the_same(tmp_path: Path) -> None:
    async with answering(tmp_path, {"embedder": "minilm"}) as (gateway, _, _):
        assert await ask(gateway, "one 1.0") == "miss"
        assert [await ask(gateway, "two 1.0", **other) for other in OTHERS] == ["miss"] * len(OTHERS)


async def test_a_caller_may_tighten_the_threshold_and_never_loosen_it(tmp_path: Path) -> None:
    async with answering(tmp_path, {"embedder": "minilm"}) as (gateway, _, _):
        assert await ask(gateway, "one 1.0") == "miss"
        assert await ask(gateway, "two 0.95", cache={"threshold": 0.96, "mode": "default"}) == "miss"
        assert await ask(gateway, "three 0.5", cache={"threshold": 0.1}) == "miss"
        assert await ask(gateway, "four 0.96", cache={"threshold": 0.1}) == "semantic"


async def test_a_wrong_answer_raises_the_threshold_above_its_pair(tmp_path: Path, cache: dict[str, Any]) -> None:
    async with answering(tmp_path, cache) as (gateway, _, _):
        await ask(gateway, "one 1.0")
        outcome, decision = await asked(gateway, "two 0.95")
        assert outcome == "semantic"
        response, _ = await gateway.post(
            "/v1/feedback", {"decision_id": decision, "score": 0.0}, Authorization=KEYS["a"]
        )
        assert response.status == 200
        async with asyncio.timeout(3):
            while await ask(gateway, "three 0.95") == "semantic":
                await asyncio.sleep(0.01)
        assert await ask(gateway, "one 1.0") == "exact"


async def test_an_answer_below_the_floor_is_none_that_is_alike(tmp_path: Path) -> None:
    async with answering(tmp_path, {"embedder": "minilm"}) as (gateway, _, _):
        await ask(gateway, "one 1.0")
        assert await ask(gateway, "two 1.0", slo={"min_quality": 0.95}) == "miss"


@pytest.mark.parametrize("trouble", ["slow", "gone"])
async def test_without_a_vector_in_time_the_request_is_answered_as_ever(tmp_path: Path, trouble: str) -> None:
    async with answering(tmp_path, {"embedder": "minilm", "embed_s": 0.05}) as (gateway, _, embedder):
        embedder.delay_s = 5.0 if trouble == "slow" else 0.0
        text = "one 1.0" if trouble == "slow" else "no number"
        assert await ask(gateway, text) == "miss"
        assert await ask(gateway, text) == "exact"
