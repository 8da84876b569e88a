"""Promises at work in a gateway: the same prompts go elsewhere once a window falls behind, and the report says so."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from gateway.api.parse import parse_chat
from gateway.decisions.types import Ending
from gateway.routing.exchange import Exchange
from gateway.services import Services
from gateway.tenants.clamp import clamped
from gateway.tenants.types import Tenant
from policies.promises.types import Sla
from tests.gateways import opened, remote
from tests.providers import Answer, ScriptedProvider, chat_events, completion_body

WHOLE = Answer(body=completion_body("yes"))
CHEAP, GOOD = (
    {"quality": quality, "price": {"prompt_per_mtok_usd": usd, "completion_per_mtok_usd": usd}}
    for quality, usd in ((0.5, 1.0), (0.9, 100.0))
)
THRIFTY = {"epsilon": 0.0, "priorities": {"balanced": {"cost": 0.9, "accuracy": 0.1}}}
LONG = 1e7
"""Seconds: the window that runs does not end during a test."""


async def ask(services: Services, tenant: Tenant, *, stream: bool = False) -> Exchange:
    """One request of a tenant, answered."""
    body = b'{"messages": [{"role": "user", "content": "hello"}], "max_tokens": 5, "stream": %s}'
    body %= b"true" if stream else b"false"
    exchange = Exchange(
        clamped(parse_chat(body, {}), tenant),
        tenant=tenant,
        clock=services.clock,
        log=services.log,
        request_id="req_1",
    )
    async for _ in services.answering.events(exchange):
        pass
    exchange.end(Ending.DONE)
    return exchange


async def test_a_tenant_that_was_promised_quality_gets_what_it_takes_and_the_other_does_not(tmp_path: Path) -> None:
    law = Tenant(id="law", sla=Sla(window_s=LONG, mean_quality=0.8, availability=0.9))
    plain = Tenant(id="plain")
    async with ScriptedProvider(WHOLE) as one, ScriptedProvider(WHOLE) as other:
        variants = [remote("cheap", one, **CHEAP), remote("good", other, **GOOD)]
        async with opened(tmp_path, *variants, policy=THRIFTY, cache={"exact": False}) as services:
            chosen = {
                t.id: Counter([(await ask(services, t)).variant for _ in range(count)])
                for t, count in ((law, 600), (plain, 60))
            }
            report = await services.reports.of(law)
    assert chosen["plain"] == {"cheap": 60}
    assert chosen["law"]["good"] >= 450, "three quarters of them bring the mean to 0.8"
    quality, availability = report.promises
    assert quality.now == pytest.approx((0.9 * chosen["law"]["good"] + 0.5 * chosen["law"]["cheap"]) / 600)
    assert (quality.now_verdict, availability.now_verdict) == ("kept", "kept")
    assert (report.requests, report.observed_share) == (600, 0.0)


async def test_one_late_answer_has_the_next_ones_rescued_in_time(tmp_path: Path) -> None:
    hasty = Tenant(id="hasty", sla=Sla(window_s=LONG, ttft_p95_s=0.3))
    late = Answer(events=chat_events("yes"), first_after_s=0.5)
    async with ScriptedProvider(late) as one, ScriptedProvider(Answer(events=chat_events("yes"))) as other:
        stated = {"tpot_s": 0.01}
        variants = [
            remote("late", one, quality=0.9, ttft_s=0.15, **stated),
            remote("soon", other, quality=0.5, ttft_s=0.02, **stated),
        ]
        policy = {"epsilon": 0.0, "priorities": {"balanced": {"accuracy": 1}}}
        async with opened(tmp_path, *variants, policy=policy, cache={"exact": False}) as services:
            asked = [await ask(services, hasty, stream=True) for _ in range(12)]
            report = await services.reports.of(hasty)
    assert [exchange.limits.ttft_s for exchange in asked[:1]] == [0.3]
    assert all((exchange.limits.ttft_s or 0.0) < 0.3 for exchange in asked[1:])
    took_s = [exchange.ttft_s or 0.0 for exchange in asked]
    assert took_s[0] > 0.3, "left for the other one at the limit, which is too late for the limit"
    assert sum(value <= 0.3 for value in took_s[1:]) >= 9, took_s
    [ttft] = report.promises
    assert ttft.now == pytest.approx(max(took_s)), "of twelve values the 95th percentile is the last"
    assert ttft.now_verdict == "broken"
    assert ttft.burn_long is not None
    assert ttft.burn_long > 1.0
