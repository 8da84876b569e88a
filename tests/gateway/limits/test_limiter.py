"""Requests against quotas: 500 callers at once, headers, refusals, further attempts, and Redis away."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.api.parse import parse_chat
from gateway.clock import SYSTEM_CLOCK, Clock
from gateway.decisions.log import DecisionLog
from gateway.decisions.types import Ending
from gateway.errors import InvalidRequestError, RateLimitError
from gateway.limits.limiter import Limiter
from gateway.routing.exchange import Exchange
from gateway.shared.redis import open_redis
from gateway.shared.settings import CacheSettings
from gateway.tenants.types import Quotas, Tenant
from tests.decision_rows import sqlite_url
from tests.gateways import HELLO
from tests.redis_server import RedisServer, redis_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as found:
        yield found


@pytest.fixture(params=["memory", "redis"])
async def limiter(request: pytest.FixtureRequest) -> AsyncIterator[Limiter]:
    if request.param == "memory":
        yield Limiter(None, clock=SYSTEM_CLOCK)
        return
    server: RedisServer = request.getfixturevalue("server")
    server.flush()
    async with open_redis(CacheSettings(url=server.url, timeout_s=1.0), clock=SYSTEM_CLOCK) as shared:
        found = Limiter(shared, clock=SYSTEM_CLOCK)
        yield found
        await found.aclose()


@pytest.fixture
def log(tmp_path: Path) -> DecisionLog:
    """Takes rows, and is never asked to write them."""
    return DecisionLog(sqlite_url(tmp_path / "log.sqlite"))


def taken_up(log: DecisionLog, tenant: Tenant, number: int = 0, **fields: object) -> Exchange:
    request = parse_chat(json.dumps(HELLO | fields).encode(), {})
    return Exchange(request, clock=SYSTEM_CLOCK, log=log, request_id=f"req_{number}", tenant=tenant)


async def test_who_has_no_request_left_is_turned_away_until_there_is_one(log: DecisionLog) -> None:
    now_s = 1000.25
    limiter = Limiter(None, clock=Clock(wall_s=lambda: now_s, monotonic_s=lambda: now_s))
    tenant = Tenant(id="shop", quotas=Quotas(requests_per_min=2))
    for number in range(2):
        limiter.turn_away(tenant)
        await limiter.admit(taken_up(log, tenant, number))
    limiter.turn_away(tenant)  # Nothing was refused yet.
    with pytest.raises(RateLimitError) as first:
        await limiter.admit(taken_up(log, tenant, 3))
    now_s += 30.0
    with pytest.raises(RateLimitError) as later:
        limiter.turn_away(tenant)
    assert (later.value.code, limiter.turned_away) == ("requests_quota", {"shop": 1})
    told = [int(error.value.headers["Retry-After"]) for error in (first, later)]
    assert told[0] - told[1] == 30
    assert later.value.headers["X-RateLimit-Remaining-Requests"] == "0"
    limiter.turn_away(Tenant(id="shop", quotas=Quotas(requests_per_min=3)))  # It may have more now.
    with pytest.raises(RateLimitError):
        await limiter.admit(taken_up(log, tenant, 4))
    now_s += 31.0
    limiter.turn_away(tenant)
    await limiter.admit(taken_up(log, tenant, 5))


async def test_who_lacks_tokens_is_not_turned_away(log: DecisionLog) -> None:
    limiter = Limiter(None, clock=SYSTEM_CLOCK)
    tenant = Tenant(id="shop", quotas=Quotas(tokens_per_min=200, requests_per_min=50))
    await limiter.admit(taken_up(log, tenant, 1, max_tokens=100))
    with pytest.raises(RateLimitError):
        await limiter.admit(taken_up(log, tenant, 2, max_tokens=100))
    limiter.turn_away(tenant)
    await limiter.admit(taken_up(log, tenant, 3, max_tokens=1))


async def test_judgements_and_look_ups_have_counts_of_their_own(limiter: Limiter, log: DecisionLog) -> None:
    tenant = Tenant(id="shop", quotas=Quotas(requests_per_min=2, feedback_per_min=3))
    other = Tenant(id="other", quotas=Quotas(requests_per_min=1))
    left = [(await limiter.count(tenant, "feedback"))["X-RateLimit-Remaining-Requests"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    with pytest.raises(RateLimitError) as caught:
        await limiter.count(tenant, "feedback")
    assert (caught.value.code, caught.value.headers["X-RateLimit-Limit-Requests"]) == ("feedback_quota", "3")
    assert int(caught.value.headers["Retry-After"]) > 0
    for _ in range(2):
        await limiter.count(tenant, "lookups")
        await limiter.admit(taken_up(log, tenant))
    with pytest.raises(RateLimitError) as caught:
        await limiter.count(tenant, "lookups")
    assert caught.value.code == "lookups_quota"
    assert await limiter.count(other, "feedback")  # As many as requests, where nothing is stated.
    with pytest.raises(RateLimitError):
        await limiter.count(other, "feedback")
    assert await limiter.count(Tenant(id="free"), "feedback") == {}


async def test_five_hundred_callers_of_twenty_tenants_are_never_over(limiter: Limiter, log: DecisionLog) -> None:
    rng = random.Random(11)
    tenants = [
        Tenant(
            id=f"t{number}",
            quotas=Quotas(
                requests_per_min=rng.randint(3, 40),
                tokens_per_min=rng.randint(100, 900),
                concurrent=rng.randint(1, 12),
            ),
        )
        for number in range(20)
    ]
    requests, tokens, refused = Counter[str](), Counter[str](), Counter[str]()
    at_work: defaultdict[str, int] = defaultdict(int)

    async def caller(number: int) -> None:
        tenant = tenants[number % 20]
        await asyncio.sleep(rng.random() * 0.2)
        for _ in range(3):
            exchange = taken_up(log, tenant, number, max_tokens=rng.randint(1, 60))
            try:
                await limiter.admit(exchange)
            except RateLimitError as error:
                refused[str(error.code)] += 1
                exchange.end(Ending.FAILED)
                await asyncio.sleep(rng.random() * 0.1)
                continue
            at_work[tenant.id] += 1
            assert at_work[tenant.id] <= (tenant.quotas.concurrent or 0)
            await asyncio.sleep(rng.random() * 0.02)
            exchange.total_tokens = rng.randint(0, exchange.request.max_completion_tokens or 0)
            requests[tenant.id] += 1
            tokens[tenant.id] += exchange.total_tokens
            at_work[tenant.id] -= 1
            exchange.end(rng.choice(list(Ending)))
            exchange.end(Ending.DONE)

    await asyncio.gather(*(caller(number) for number in range(500)))
    await limiter.aclose()
    for tenant in tenants:
        quotas = tenant.quotas
        assert requests[tenant.id] <= (quotas.requests_per_min or 0)
        assert tokens[tenant.id] <= (quotas.tokens_per_min or 0)
    assert set(refused) == {"requests_quota", "tokens_quota", "concurrent_quota"}, "each of them was met"
    assert sum(requests.values()) > 100


async def test_every_answer_says_what_is_left(limiter: Limiter, log: DecisionLog) -> None:
    tenant = Tenant(id="t", quotas=Quotas(requests_per_min=2, tokens_per_min=1000))
    exchange = taken_up(log, tenant, max_tokens=100)
    await limiter.admit(exchange)
    assert exchange.headers["X-RateLimit-Limit-Requests"] == "2"
    assert exchange.headers["X-RateLimit-Remaining-Requests"] == "1"
    left = 1000 - 100 - exchange.request.prompt_bytes
    assert exchange.headers["X-RateLimit-Remaining-Tokens"] == str(left)
    assert 58 < float(exchange.headers["X-RateLimit-Reset-Requests"].removesuffix("s")) <= 61


async def test_a_refusal_names_the_quota_and_the_time(limiter: Limiter, log: DecisionLog) -> None:
    tenant = Tenant(id="t", quotas=Quotas(requests_per_min=1))
    await limiter.admit(taken_up(log, tenant))
    with pytest.raises(RateLimitError, match="1 requests per minute") as caught:
        await limiter.admit(taken_up(log, tenant))
    assert 58 <= int(caught.value.headers["Retry-After"]) <= 61


async def test_what_can_never_fit_is_refused_for_good(limiter: Limiter, log: DecisionLog) -> None:
    tenant = Tenant(id="t", quotas=Quotas(tokens_per_min=50))
    with pytest.raises(InvalidRequestError, match="50 per minute") as caught:
        await limiter.admit(taken_up(log, tenant, max_tokens=60))
    assert caught.value.param == "max_tokens"


async def test_a_further_attempt_reserves_its_own_tokens(limiter: Limiter, log: DecisionLog) -> None:
    tenant = Tenant(id="t", quotas=Quotas(tokens_per_min=300))
    exchange = taken_up(log, tenant, max_tokens=100)
    most = 100 + exchange.request.prompt_bytes
    await limiter.admit(exchange)
    await limiter.more(exchange)
    with pytest.raises(RateLimitError):
        await limiter.more(exchange)
    exchange.total_tokens = most + 20
    exchange.end(Ending.DONE)
    await limiter.aclose()
    after = taken_up(log, tenant, max_tokens=10)
    await limiter.admit(after)
    assert after.headers["X-RateLimit-Remaining-Tokens"] == str(300 - most - 20 - 10 - after.request.prompt_bytes)


async def test_without_redis_each_replica_lets_its_share_through(log: DecisionLog, tmp_path: Path) -> None:
    tenant = Tenant(id="t", quotas=Quotas(requests_per_min=20))
    with redis_server(tmp_path / "redis") as server:
        async with open_redis(CacheSettings(url=server.url, timeout_s=0.05), clock=SYSTEM_CLOCK) as shared:
            replicas = [Limiter(shared, clock=SYSTEM_CLOCK, replicas=lambda: 4) for _ in range(4)]
            server.freeze()
            for limiter in replicas:
                for _ in range(5):
                    await limiter.admit(taken_up(log, tenant))
                with pytest.raises(RateLimitError):
                    await limiter.admit(taken_up(log, tenant))


async def test_two_replicas_share_one_quota(server: RedisServer, log: DecisionLog) -> None:
    server.flush()
    tenant = Tenant(id="t", quotas=Quotas(requests_per_min=10))
    settings = CacheSettings(url=server.url, timeout_s=1.0)
    async with open_redis(settings, clock=SYSTEM_CLOCK) as one, open_redis(settings, clock=SYSTEM_CLOCK) as other:
        limiters = [Limiter(one, clock=SYSTEM_CLOCK), Limiter(other, clock=SYSTEM_CLOCK)]
        asked = [limiters[n % 2].admit(taken_up(log, tenant, n)) for n in range(30)]
        replies = await asyncio.gather(*asked, return_exceptions=True)
        assert replies.count(None) == 10


async def test_without_redis_what_fits_the_quota_still_fits_once(log: DecisionLog) -> None:
    tenant = Tenant(id="t", quotas=Quotas(tokens_per_min=400))
    settings = CacheSettings(url="redis://127.0.0.1:1/0", timeout_s=0.1)
    async with open_redis(settings, clock=SYSTEM_CLOCK) as shared:
        limiter = Limiter(shared, clock=SYSTEM_CLOCK, replicas=lambda: 4)
        await limiter.admit(taken_up(log, tenant, max_tokens=300))
        with pytest.raises(RateLimitError):
            await limiter.admit(taken_up(log, tenant, max_tokens=300))
