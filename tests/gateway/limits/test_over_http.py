"""Quotas as callers meet them: headers of answers, streams and errors; two gateways over one Redis."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.decisions.types import Ending
from gateway.errors import ApiError
from gateway.services import Services
from gateway.shared.replicas import BEAT_S
from gateway.tenants.types import Quotas, Tenant
from tests.gateways import HELLO, USAGE_EVENT, RunningGateway, behind, exchange, opened, remote, running, until
from tests.providers import Answer, ScriptedProvider, chat_events, completion_body
from tests.redis_server import redis_server
from tests.tenancy import bearer, with_tenant

WHOLE = Answer(body=completion_body("fine"))  # 8 tokens.
STREAM = Answer(events=[*chat_events("fi", "ne"), USAGE_EVENT])
CHAT = "/v1/chat/completions"
ASKED: dict[str, Any] = HELLO | {"max_tokens": 50, "cache": {"mode": "no-store"}}

Asked = tuple[int, Mapping[str, str], str]


async def asked(gateway: RunningGateway, headers: dict[str, str], **fields: Any) -> Asked:
    """Status, headers and body of an answer."""
    async with gateway.session.post(f"{gateway.url}{CHAT}", json=ASKED | fields, headers=headers) as reply:
        return reply.status, reply.headers, await reply.text()


def left(reply: Asked, kind: str) -> int:
    return int(reply[1][f"X-RateLimit-Remaining-{kind}"])


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    async with behind(tmp_path, WHOLE) as (found, _):
        yield found


async def test_every_kind_of_answer_says_what_is_left(tmp_path: Path) -> None:
    failing = Answer(status=400, body=b'{"error": {"message": "no"}}')
    async with behind(tmp_path, WHOLE, calls={"max_attempts": 1}) as (gateway, [provider]):
        key = await with_tenant(gateway, "shop", quotas=Quotas(requests_per_min=3, tokens_per_min=10_000))
        whole = await asked(gateway, bearer(key))
        provider.script = [STREAM]
        stream = await asked(gateway, bearer(key), stream=True)
        provider.script = [failing]
        failed = await asked(gateway, bearer(key))
        refused = await asked(gateway, bearer(key))
    assert [reply[0] for reply in (whole, stream, failed, refused)] == [200, 200, 400, 429]
    assert [left(reply, "Requests") for reply in (whole, stream, failed, refused)] == [2, 1, 0, 0]
    for _, headers, _ in (whole, stream, failed, refused):
        assert (headers["X-RateLimit-Limit-Requests"], headers["X-RateLimit-Limit-Tokens"]) == ("3", "10000")
        assert 0 <= float(headers["X-RateLimit-Reset-Tokens"].removesuffix("s")) <= 61
    assert "requests_quota" in refused[2]
    assert 1 <= int(refused[1]["Retry-After"]) <= 61


async def test_processes_of_one_machine_keep_a_quota_together_without_redis_too(tmp_path: Path) -> None:
    async with behind(tmp_path, WHOLE, server={"workers": 3}) as (gateway, _):
        key = await with_tenant(gateway, "shop", quotas=Quotas(requests_per_min=7))
        replies = [await asked(gateway, bearer(key)) for _ in range(4)]
    assert [reply[0] for reply in replies] == [200, 200, 429, 429]


async def test_tokens_are_settled_to_what_was_used_whole_or_streamed(tmp_path: Path) -> None:
    async with behind(tmp_path, WHOLE) as (gateway, [provider]):
        key = await with_tenant(gateway, "shop", quotas=Quotas(tokens_per_min=10_000))
        first = await asked(gateway, bearer(key))
        provider.script = [STREAM]
        second = await asked(gateway, bearer(key), stream=True)
        third = await asked(gateway, bearer(key))
    assert left(first, "Tokens") - left(second, "Tokens") == 8
    assert left(second, "Tokens") - left(third, "Tokens") == 8


async def test_what_failed_or_was_cut_is_given_back(tmp_path: Path) -> None:
    stalls = Answer(events=chat_events("fi", finish=None), ending="stall")
    async with behind(tmp_path, stalls) as (gateway, [provider]):
        key = await with_tenant(gateway, "shop", quotas=Quotas(tokens_per_min=10_000, concurrent=1))
        body = ASKED | {"stream": True}
        async with gateway.session.post(f"{gateway.url}{CHAT}", json=body, headers=bearer(key)) as reply:
            await reply.content.readany()
            busy = await asked(gateway, bearer(key))
            most = 10_000 - left(busy, "Tokens")
        await until(lambda: provider.left == 1)
        provider.script = [WHOLE]
        again = await asked(gateway, bearer(key))
    assert (busy[0], again[0]) == (429, 200)
    assert "concurrent_quota" in busy[2]
    assert 10_000 - left(again, "Tokens") < 2 * most, "the one that was cut does not count as much as it could have"


async def test_a_request_that_could_never_fit_is_told_so(gateway: RunningGateway) -> None:
    key = await with_tenant(gateway, "shop", quotas=Quotas(tokens_per_min=40))
    status, _, text = await asked(gateway, bearer(key))
    assert (status, "max_tokens" in text, "40 per minute" in text) == (400, True, True)


async def test_a_tenant_without_quotas_hears_of_none(gateway: RunningGateway) -> None:
    _, headers, _ = await asked(gateway, bearer(await with_tenant(gateway, "shop")))
    assert not [name for name in headers if name.lower().startswith("x-ratelimit")]


async def answered(services: Services, tenant: Tenant) -> int:
    """Status of an answer of a gateway that has no HTTP server."""
    taken_up = exchange(services, **ASKED)
    taken_up.tenant = tenant
    try:
        await services.answering.whole(taken_up)
    except ApiError as error:
        taken_up.end(Ending.FAILED)
        return error.status
    taken_up.end(Ending.DONE)
    return 200


async def test_two_gateways_over_one_redis_share_one_quota_and_none_fails_without_it(tmp_path: Path) -> None:
    tenants = [Tenant(id=name, quotas=Quotas(requests_per_min=20)) for name in ("shop", "law")]
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(redis_server(tmp_path / "redis"))
        provider = await stack.enter_async_context(ScriptedProvider(WHOLE))
        cache = {"url": redis.url, "timeout_s": 0.5}
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
        other = await stack.enter_async_context(opened(tmp_path / "one", remote("v0", provider), cache=cache))
        one = await stack.enter_async_context(running(tmp_path / "other", remote("v0", provider), cache=cache))
        keys = [bearer(await with_tenant(one, tenant.id, quotas=tenant.quotas)) for tenant in tenants]

        async def ask(number: int, which: int = 0) -> int:
            return (await asked(one, keys[which]))[0] if number % 2 else await answered(other, tenants[which])

        await asyncio.sleep(2 * BEAT_S)  # Until they know of each other.
        assert Counter(await asyncio.gather(*map(ask, range(40)))) == {200: 20, 429: 20}
        redis.freeze()
        replies = await asyncio.gather(*(ask(number, 1) for number in range(40)))
        assert Counter(replies) == {200: 20, 429: 20}, "each lets its half through while it cannot ask"
