"""A duplicate of a slow request: who answers first wins, the other is stopped, both are on record and paid for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.errors import ApiError
from gateway.routing.exchange import Exchange
from gateway.services import Services
from gateway.tenants.types import Spend, Tenant
from policies.policy import Hedge, Rule, Then
from tests.gateways import USAGE_EVENT, exchange, opened, remote, tried, until
from tests.providers import Answer, ScriptedProvider, chat_events, completion_body

WHOLE = Answer(body=completion_body("Paris"))
STREAM = Answer(events=[*chat_events("Par", "is"), USAGE_EVENT])
SLOW_WHOLE = Answer(events=[b" "] * 500, every_s=0.01)
SLOW_STREAM = Answer(events=chat_events(finish=None), ending="stall")
LATER_STREAM = Answer(first_after_s=0.5, events=STREAM.events)
RESET = Answer(refuses="reset")
SOON = {"ttft_s": 0.15, "tpot_s": 0.001}
"""For so short a prompt a duplicate of a stream is due after 0.095 s, of a whole answer 0.06 s later."""


@asynccontextmanager
async def hedging(
    directory: Path,
    *scripts: Answer,
    hedge: Hedge | None = None,
    then: Then | None = None,
    first: dict[str, Any] = SOON,
    last: dict[str, Any] = SOON,
) -> AsyncIterator[tuple[Services, list[ScriptedProvider]]]:
    """A gateway whose policy hedges; `v0` is preferred, then `v1`, …; the first and the last with these fields."""
    async with AsyncExitStack() as stack:
        providers = [await stack.enter_async_context(ScriptedProvider(script)) for script in scripts]
        variants = [remote(f"v{i}", provider, quality=0.9 - i / 10, **SOON) for i, provider in enumerate(providers)]
        variants[0] |= first
        variants[-1] |= last
        services = await stack.enter_async_context(opened(directory, *variants))
        rule = Rule(name="quick", then=then or Then(hedge=True))
        policy = msgspec.structs.replace(
            services.policies.current, hash="h", rules=(rule,), hedge=hedge or Hedge(max_share=1.0)
        )
        services.policies.swap(policy)
        yield services, providers


async def answered(services: Services, *, stream: bool, **fields: Any) -> Exchange:
    taken = exchange(services, stream=stream, priority={"accuracy": 1}, **fields)
    async with aclosing(services.answering.events(taken)) as events:
        said = [event async for event in events]
    assert said
    assert {event["model"] for event in said} == {taken.variant}
    return taken


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_the_duplicate_of_a_slow_request_answers_and_the_first_is_stopped(tmp_path: Path, stream: bool) -> None:
    slow, fast = (SLOW_STREAM, STREAM) if stream else (SLOW_WHOLE, WHOLE)
    async with hedging(tmp_path, slow, fast) as (services, providers):
        taken = await answered(services, stream=stream)
        assert tried(taken) == [("v0", "first", "overtaken"), ("v1", "hedge", None)]
        assert (taken.variant, taken.usage.completion_tokens, taken.finish_reason) == ("v1", 5, "stop")
        await until(lambda: providers[0].left == 1)
        assert [services.catalogue.view(name).in_flight for name in ("v0", "v1")] == [0, 0]
        first, second = taken.attempts
        assert first.cost_usd == pytest.approx(taken.request.prompt_tokens * 1e-6), "it has read the prompt"
        assert taken.cost_usd == pytest.approx(first.cost_usd + second.cost_usd)
        assert taken.total_tokens == taken.request.prompt_tokens + 8


async def test_a_request_that_is_answered_in_time_is_sent_once(tmp_path: Path) -> None:
    late = {"ttft_s": 5.0}
    async with hedging(tmp_path, STREAM, STREAM, first=late) as (services, providers):
        assert tried(await answered(services, stream=True)) == [("v0", "first", None)]
        assert providers[1].requests == []


async def test_the_first_may_still_win_and_then_the_duplicate_is_stopped(tmp_path: Path) -> None:
    async with hedging(tmp_path, LATER_STREAM, SLOW_STREAM) as (services, providers):
        taken = await answered(services, stream=True)
        assert tried(taken) == [("v1", "hedge", "overtaken"), ("v0", "first", None)]
        assert (taken.variant, taken.call.role) == ("v0", "first")
        await until(lambda: providers[1].left == 1)


async def test_a_duplicate_that_fails_costs_the_first_nothing(tmp_path: Path) -> None:
    async with hedging(tmp_path, LATER_STREAM, RESET) as (services, _):
        taken = await answered(services, stream=True)
        assert tried(taken) == [("v1", "hedge", "connection_lost"), ("v0", "first", None)]


async def test_a_duplicate_that_cannot_be_paid_for_is_not_sent(tmp_path: Path) -> None:
    dear = {"prompt_per_mtok_usd": 10.0, "completion_per_mtok_usd": 20.0}
    async with hedging(tmp_path, LATER_STREAM, STREAM, last=SOON | {"price": dear}) as (services, providers):
        taken = exchange(services, stream=True, priority={"accuracy": 1}, max_tokens=4000)
        taken.tenant = Tenant(id="team", budget=Spend(usd=0.05))
        async with aclosing(services.answering.events(taken)) as events:
            [event async for event in events]
        assert tried(taken) == [("v0", "first", None)]
        assert (taken.tries, providers[1].requests) == (1, [])


async def test_where_both_fail_a_third_takes_over(tmp_path: Path) -> None:
    failing = Answer(first_after_s=0.4, refuses="reset")
    async with hedging(tmp_path, failing, RESET, STREAM) as (services, _):
        taken = await answered(services, stream=True)
        assert tried(taken)[-1] == ("v2", "fallback", None)
        assert sorted(tried(taken)[:2]) == [("v0", "first", "connection_lost"), ("v1", "hedge", "connection_lost")]


async def test_no_more_than_the_allowed_share_is_sent_twice(tmp_path: Path) -> None:
    async with hedging(tmp_path, LATER_STREAM, STREAM, hedge=Hedge(max_share=0.25)) as (services, providers):
        await asyncio.gather(*(answered(services, stream=True) for _ in range(19)))
        assert len(providers[1].requests) == 4


@pytest.mark.parametrize(
    ("then", "fields"),
    [(Then(), {}), (Then(hedge=True), {"slo": {"min_quality": 0.85}}), (Then(hedge=True, exclude=("v1",)), {})],
    ids=["no_rule_allows_it", "nobody_else_is_good_enough", "the_rule_leaves_the_other_out"],
)
async def test_no_duplicate_is_sent(tmp_path: Path, then: Then, fields: dict[str, Any]) -> None:
    async with hedging(tmp_path, LATER_STREAM, STREAM, then=then) as (services, providers):
        assert tried(await answered(services, stream=True, **fields)) == [("v0", "first", None)]
        assert providers[1].requests == []


async def test_a_caller_that_leaves_stops_both(tmp_path: Path) -> None:
    async with hedging(tmp_path, SLOW_STREAM, SLOW_STREAM) as (services, providers):
        taken = exchange(services, stream=True, priority={"accuracy": 1})
        events = services.answering.events(taken)
        waiting = asyncio.ensure_future(anext(events))
        await until(lambda: len(providers[1].requests) == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert sorted(tried(taken)) == [("v0", "first", "interrupted"), ("v1", "hedge", "interrupted")]
        await until(lambda: [provider.left for provider in providers] == [1, 1])
        assert taken.calling.total() == 0


async def test_once_it_has_begun_to_answer_a_duplicate_that_breaks_off_is_not_replaced(tmp_path: Path) -> None:
    broken = Answer(events=chat_events("Par", finish=None), ending="cut")
    async with hedging(tmp_path, SLOW_STREAM, broken, STREAM) as (services, providers):
        with pytest.raises(ApiError):
            await answered(services, stream=True)
        assert providers[2].requests == []
