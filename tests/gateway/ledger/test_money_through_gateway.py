"""Budgets through a whole gateway: whatever becomes of requests, the account agrees with the log to the cent."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from gateway.api.parse import parse_chat
from gateway.decisions.schema import decisions, open_engine, outcomes
from gateway.decisions.types import Ending
from gateway.errors import ApiError, QuotaError
from gateway.routing.exchange import Exchange
from gateway.services import Services
from gateway.tenants.types import Tenant
from policies.policy import Cascade, Rule, Then
from tests.decision_rows import sqlite_url
from tests.gateways import HELLO, USAGE_EVENT, opened, remote
from tests.ledger_tools import read, tenant
from tests.providers import Answer, ScriptedProvider, chat_events, completion_body

CHOSEN = {"epsilon": 0.0, "priorities": {"balanced": {"accuracy": 1}}}
STREAM = Answer(events=[*chat_events(*["word "] * 5), USAGE_EVENT], every_s=0.003)
CUT = Answer(events=chat_events("one ", "two ", finish=None), ending="cut")
FAILS = Answer(status=500, body=b'{"error": {"message": "no", "type": "server_error"}}')
UNSURE = Answer(
    body=completion_body("Paris").replace(
        b'"finish_reason"', b'"logprobs": {"content": [{"logprob": -5}]}, "finish_reason"'
    )
)


@asynccontextmanager
async def variants(directory: Path, *scripts: Answer | list[Answer], **fields: Any) -> AsyncIterator[Services]:
    """A gateway over one provider per script, `v0` the best."""
    async with _all([ScriptedProvider(*(s if isinstance(s, list) else [s])) for s in scripts]) as providers:
        stated = [remote(f"v{n}", provider, quality=0.9 - n / 10, **fields) for n, provider in enumerate(providers)]
        calls = {"backoff_s": 0.001, "breaker_failures": 1000}
        async with opened(directory, *stated, policy=CHOSEN, calls=calls) as services:
            yield services


@asynccontextmanager
async def _all(providers: list[ScriptedProvider]) -> AsyncIterator[list[ScriptedProvider]]:
    if not providers:
        yield []
        return
    async with providers[0] as first, _all(providers[1:]) as others:
        yield [first, *others]


def taken_up(services: Services, of: Tenant, number: int = 0, **fields: Any) -> Exchange:
    request = parse_chat(json.dumps(HELLO | {"max_tokens": 16, "cache": {"mode": "no-cache"}} | fields).encode(), {})
    request = msgspec.structs.replace(request, tenant=of.id)
    return Exchange(request, clock=services.clock, log=services.log, request_id=f"req_{number}", tenant=of)


async def run(services: Services, exchange: Exchange) -> Ending:
    """To its end, as a route handler does it."""
    ending = Ending.CANCELLED
    try:
        async with aclosing(services.answering.events(exchange)) as events:
            async for _ in events:
                pass
        ending = Ending.DONE
    except ApiError:
        ending = Ending.FAILED
    finally:
        exchange.end(ending)
    return ending


def logged_usd(directory: Path) -> dict[str, float]:
    """What the log says each tenant's requests did cost."""
    engine = open_engine(sqlite_url(directory / "trilemma.db"))
    query = (
        sa.select(decisions.c.tenant, sa.func.sum(outcomes.c.cost_usd))
        .join(outcomes, outcomes.c.decision_id == decisions.c.decision_id)
        .group_by(decisions.c.tenant)
    )
    with engine.connect() as connection:
        found = {name: float(usd) for name, usd in connection.execute(query)}
    engine.dispose()
    return found


@pytest.mark.timeout(60)
async def test_five_hundred_requests_of_twenty_tenants_never_cost_a_cent_too_much_however_they_end(
    tmp_path: Path,
) -> None:
    rng, endings, cost, refused = random.Random(3), Counter[str](), defaultdict[str, float](float), 0
    tenants = [tenant(f"t{number}", usd=0.002 + number * 0.0001) for number in range(20)]
    failing = [rng.choice([STREAM, STREAM, CUT, FAILS]) for _ in range(2000)]
    async with variants(tmp_path, failing, STREAM) as services:

        async def call(number: int) -> None:
            nonlocal refused
            of = tenants[number % 20]
            exchange = taken_up(services, of, number, stream=True)
            task = asyncio.create_task(run(services, exchange))
            if number % 5 == 0:
                await asyncio.wait({task}, timeout=rng.random() * 0.1)
                task.cancel()
            done = await asyncio.gather(task, return_exceptions=True)
            endings[str(done[0] if isinstance(done[0], Ending) else "cancelled")] += 1
            cost[of.id] += exchange.cost_usd
            refused += not exchange.attempts

        for first in range(0, 500, 100):
            await asyncio.gather(*(call(number) for number in range(first, first + 100)))
        for of in tenants:
            assert services.ledger.spent_usd(of) is not None
    assert min(endings[str(e)] for e in (Ending.DONE, Ending.FAILED)) > 20
    assert endings["cancelled"] > 20
    assert 50 < refused < 450
    logged = logged_usd(tmp_path)
    for of in tenants:
        found = read(sqlite_url(tmp_path / "trilemma.db"), of)
        assert 0 < found.spent_usd <= found.usd
        assert found.held_usd == found.lost_usd == 0.0
        assert found.spent_usd == pytest.approx(cost[of.id], abs=1e-7)
        assert logged.get(of.id, 0.0) == pytest.approx(cost[of.id], abs=1e-9)


async def test_an_escalation_is_held_and_settled_like_any_other_call(tmp_path: Path) -> None:
    mine = tenant(usd=0.01)
    async with variants(tmp_path, Answer(body=completion_body("better")), UNSURE) as services:
        cascade = Cascade(first="v1", then="v0", threshold=0.9, escalates=0.1, recovers=1.0)
        rules = (Rule(name="careful", then=Then(cascade=True, prefer={"v1": 1.0})),)
        services.policies.swap(
            msgspec.structs.replace(services.policies.current, hash="c", cascade=cascade, rules=rules)
        )
        exchange = taken_up(services, mine, priority={"accuracy": 0.7, "cost": 0.3})
        assert await run(services, exchange) is Ending.DONE
        assert [attempt.role for attempt in exchange.attempts] == ["first", "escalation"]
        assert services.ledger.spent_usd(mine) == pytest.approx(exchange.cost_usd, abs=1e-8)
        assert exchange.cost_usd == pytest.approx(2 * (3 + 2 * 5) / 1e6)


async def test_near_the_end_of_a_budget_a_smaller_answer_is_still_paid_for(tmp_path: Path) -> None:
    mine = tenant(usd=0.002)
    async with variants(tmp_path, Answer(body=completion_body("fine"))) as services:
        with pytest.raises(QuotaError, match="a smaller `max_tokens` needs less") as refused:
            await services.answering.whole(taken_up(services, mine, max_tokens=4000))
        assert int(refused.value.headers["Retry-After"]) > 0
        assert await services.answering.whole(taken_up(services, mine, max_tokens=16))


async def test_a_call_that_pays_by_the_second_is_ended_when_the_time_it_was_held_for_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ledger.bound.LEAST_S", 0.3)
    monkeypatch.setattr("gateway.ledger.bound.FACTOR", 0.01)
    mine = tenant(usd=0.01)
    endless = Answer(events=chat_events(*["word "] * 1000, finish=None), every_s=0.01)
    async with variants(tmp_path, endless, price={"compute_per_hour_usd": 3.6}) as services:
        exchange = taken_up(services, mine, stream=True)
        assert await run(services, exchange) is Ending.FAILED
        assert 0.0002 < exchange.cost_usd <= 0.0003 + 1e-12
        assert exchange.attempts[0].error_type == "upstream_timeout"
        assert services.ledger.spent_usd(mine) == pytest.approx(exchange.cost_usd, abs=1e-8)
