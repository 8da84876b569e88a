"""Every trace that tells of trouble is kept, a share of the others, and no flood of either."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.telemetry.origin import Origin
from gateway.telemetry.sampling import MIN_SEEN, Usual, head_sampled
from gateway.tenants.keys import KeyTerms
from gateway.tenants.types import Role
from gateway.traces.query import get
from tests.gateways import HELLO, RunningGateway, behind
from tests.providers import Answer, completion_body
from tests.tenancy import ALICE, bearer, with_tenant

CHAT = "/v1/chat/completions"
PARIS = Answer(body=completion_body("Paris"))
LATE = Answer(body=completion_body("Paris"), first_after_s=0.15)
BROKEN = Answer(status=500, body=b'{"error": {"message": "no"}}')
NONE = {"traces": {"sample": 0.0}}


async def kept(gateway: RunningGateway) -> dict[str, int]:
    await gateway.reported()
    return {reason: count for reason, count in gateway.services.tracing.stats.kept.items() if count}


def test_the_share_that_is_kept_is_the_one_that_was_asked_for_and_the_same_everywhere() -> None:
    origins = [Origin() for _ in range(4000)]
    chosen = [origin for origin in origins if head_sampled(origin, share=0.25)]
    assert 850 < len(chosen) < 1150
    assert all(head_sampled(Origin(trace_id=o.trace_id), share=0.25) for o in chosen)
    assert all(head_sampled(o, share=0.5) for o in chosen), "a larger share holds the smaller one"
    assert not any(head_sampled(o, share=0.0) for o in origins)


@pytest.mark.parametrize("sampled", [True, False])
def test_what_the_caller_decided_holds(*, sampled: bool) -> None:
    assert head_sampled(Origin(parent_id=1, sampled=sampled), share=0.5) is sampled


def test_five_of_a_hundred_are_unusual_once_enough_was_seen() -> None:
    usual = Usual()
    latencies = [1.0 + (n * 7919 % 1000) / 1000 for n in range(2000)]
    unusual = [usual.exceeded("v", latency_s, streamed=True) for latency_s in latencies]
    assert not any(unusual[:MIN_SEEN])
    assert 0.03 < sum(unusual[MIN_SEEN:]) / len(unusual[MIN_SEEN:]) < 0.07


def test_a_variant_of_which_little_was_seen_is_held_against_all_of_them() -> None:
    usual = Usual()
    assert not any(usual.exceeded("v", 1.0, streamed=False) for _ in range(MIN_SEEN))
    assert not usual.exceeded("another", 0.9, streamed=False)
    assert usual.exceeded("another", 10.0, streamed=False)
    assert not usual.exceeded("another", 10.0, streamed=True), "streams are held against streams"


def test_answers_from_a_cache_make_no_other_look_slow() -> None:
    usual = Usual()
    assert not any(usual.exceeded(None, 0.001, streamed=False) for _ in range(500))
    assert not any(usual.exceeded("v", 1.0, streamed=False) for _ in range(500))
    assert usual.exceeded(None, 0.1, streamed=False)


async def test_a_request_over_its_own_limit_is_kept(tmp_path: Path) -> None:
    async with behind(tmp_path, LATE, telemetry=NONE) as (gateway, _):
        await gateway.post(CHAT, HELLO)
        assert await kept(gateway) == {}
        await gateway.post(CHAT, HELLO | {"slo": {"latency_s": 0.12}})
        assert await kept(gateway) == {"slow": 1}


async def test_a_request_over_its_tenants_promise_is_kept(tmp_path: Path) -> None:
    tenants = [{"id": "law", "sla": {"latency_p95_s": 0.12}}]
    async with behind(tmp_path, LATE, telemetry=NONE, tenants=tenants) as (gateway, _):
        key = await with_tenant(gateway, "zoo", role=Role.CALLER)
        change = gateway.services.directory.change
        law = await change(lambda store: store.keys.add("law", KeyTerms(role=Role.CALLER), author=ALICE))
        await gateway.post(CHAT, HELLO, **bearer(key.text))
        assert await kept(gateway) == {}
        await gateway.post(CHAT, HELLO, **bearer(law.text))
        assert await kept(gateway) == {"slow": 1}


async def test_failed_and_failed_over_requests_are_kept(tmp_path: Path) -> None:
    async with behind(tmp_path, BROKEN, PARIS, telemetry=NONE) as (gateway, _):
        await gateway.post(CHAT, HELLO)
        assert await kept(gateway) == {"escalated": 1}
        response, _ = await gateway.post(CHAT, HELLO | {"model": "v0"})
        assert response.status >= 500
        assert await kept(gateway) == {"escalated": 1, "failed": 1}


async def test_a_flood_keeps_no_more_than_the_rate(tmp_path: Path) -> None:
    telemetry = {"traces": {"sample": 1.0, "max_per_s": 2.0}}
    async with behind(tmp_path, PARIS, telemetry=telemetry) as (gateway, _):
        for _ in range(20):
            await gateway.post(CHAT, HELLO)
        await gateway.reported()
        stats = gateway.services.tracing.stats
        assert 2 <= stats.kept["sampled"] < 20
        assert stats.left_out == 20 - stats.kept["sampled"]


async def test_probes_and_scrapes_leave_no_trace(tmp_path: Path) -> None:
    async with behind(tmp_path, PARIS, telemetry={"traces": {"sample": 1.0}}) as (gateway, _):
        for path in ("/livez", "/readyz", "/openapi.json"):
            await gateway.get(path)
        assert await kept(gateway) == {}


async def test_what_was_said_is_kept_only_where_the_tenant_lets_it(tmp_path: Path) -> None:
    tenants = [{"id": "open", "content": "traced"}, {"id": "shut"}]
    async with behind(tmp_path, PARIS, telemetry={"traces": {"sample": 1.0}}, tenants=tenants) as (gateway, _):
        admin = await with_tenant(gateway, "ops", role=Role.ADMIN)
        assert admin.text
        told = {}
        for tenant in ("open", "shut"):
            change = gateway.services.directory.change
            key = await change(lambda store, t=tenant: store.keys.add(t, KeyTerms(role=Role.CALLER), author=ALICE))
            response, _ = await gateway.post(CHAT, HELLO, **bearer(key.text))
            await gateway.reported()
            engine, request_id = gateway.services.tracing.traces.engine, response.headers["X-Request-Id"]
            row = await asyncio.to_thread(get, engine, request_id)
            assert row is not None
            told[tenant] = row.spans[0].attributes
        assert told["open"]["gen_ai.input.messages"] == "hello"
        assert told["open"]["gen_ai.output.messages"] == "Paris"
        assert not any(name.endswith("messages") for name in told["shut"])
