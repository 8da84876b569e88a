from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ApiError, ContextLengthError, UpstreamFailedError
from tests.gateways import exchange, opened, remote
from tests.providers import Answer, ScriptedProvider, chat_events, completion_body

GOOD = Answer(body=completion_body("Paris"))
RESET = Answer(refuses="reset")
TOO_LONG = Answer(
    status=400, body=b'{"error": {"message": "5000 tokens, context 4096", "code": "context_length_exceeded"}}'
)
ACCURATE = {"priority": {"accuracy": 1}}


async def test_a_prompt_too_long_for_one_is_answered_by_one_with_more_context(tmp_path: Path) -> None:
    async with ScriptedProvider(TOO_LONG) as short, ScriptedProvider(GOOD) as long:
        variants = (
            remote("first", short, quality=0.9, context_tokens=4096),
            remote("same", short, quality=0.8, context_tokens=4096),
            remote("more", long, quality=0.1, context_tokens=32768),
        )
        async with opened(tmp_path, *variants) as services:
            taken = exchange(services, **ACCURATE)
            assert (await services.answering.whole(taken))["model"] == "more"
            assert [(attempt.variant, attempt.error_type) for attempt in taken.attempts] == [
                ("first", "context_length_exceeded"),
                ("more", None),
            ]
        assert len(short.requests) == 1


async def test_a_prompt_too_long_for_all_is_told_in_the_words_of_the_variant(tmp_path: Path) -> None:
    async with ScriptedProvider(TOO_LONG) as short:
        async with opened(tmp_path, *(remote(name, short, context_tokens=4096) for name in "ab")) as services:
            with pytest.raises(ContextLengthError, match="5000 tokens, context 4096"):
                await services.answering.whole(exchange(services))
        assert len(short.requests) == 1


async def test_what_every_attempt_cost_is_added_up(tmp_path: Path) -> None:
    unfinished = Answer(body=completion_body("x").replace(b'"finish_reason": "stop"', b'"finish_reason": null'))
    broken = Answer(events=chat_events("Pa", finish=None), ending="cut")
    async with ScriptedProvider(unfinished) as first, ScriptedProvider(GOOD) as second:
        variants = remote("a", first, quality=0.9), remote("b", second)
        async with opened(tmp_path, *variants) as services:
            whole = exchange(services, **ACCURATE)
            await services.answering.whole(whole)
            assert whole.cost_usd == pytest.approx(13e-6), "the first told no usage that could be trusted"
            assert [attempt.propensity for attempt in whole.attempts] == [1.0, 1.0]
            first.script = [broken]
            cut = exchange(services, **ACCURATE, stream=True)
            with pytest.raises(UpstreamFailedError):
                async with aclosing(services.answering.events(cut)) as events:
                    [event async for event in events]
            assert cut.cost_usd == pytest.approx((cut.request.prompt_tokens + 2) / 1e6)
            assert len(second.requests) == 1


async def test_time_is_paid_for_where_the_machine_has_a_price_per_hour(tmp_path: Path) -> None:
    slow = Answer(first_after_s=0.2, body=completion_body("x"))
    async with ScriptedProvider(slow) as provider:
        by_the_hour = remote("a", provider, price={"compute_per_hour_usd": 3600})
        async with opened(tmp_path, by_the_hour) as services:
            taken = exchange(services)
            await services.answering.whole(taken)
            assert 0.2 <= taken.cost_usd < 1.0


async def test_the_first_failure_is_told_when_the_rest_cannot_answer(tmp_path: Path) -> None:
    async with ScriptedProvider(RESET) as provider:
        able = remote("able", provider, capabilities=["tools"])
        async with opened(tmp_path, able, remote("unable", provider, capabilities=[])) as services:
            with pytest.raises(UpstreamFailedError) as caught:
                await services.answering.whole(exchange(services, tools=[{}]))
            assert caught.value.code == "connection_lost"


async def close(events: Any) -> None:
    await events.aclose()


async def cancel(events: Any) -> None:
    await anext(events)  # The role came before the first content, and both are there by now.
    reading = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0.02)
    reading.cancel()
    await asyncio.wait([reading])


@pytest.mark.parametrize("leave", [close, cancel])
async def test_a_stream_that_is_left_frees_its_variant_and_is_no_answer(
    tmp_path: Path, leave: Callable[[Any], Any]
) -> None:
    endless = Answer(events=chat_events("x", finish=None), ending="stall")
    async with ScriptedProvider(endless) as provider, opened(tmp_path, remote("a", provider)) as services:
        taken = exchange(services, stream=True)
        events = services.answering.events(taken)
        await anext(events)
        assert services.catalogue.view("a").in_flight == 1
        await leave(events)
        assert services.catalogue.view("a").in_flight == 0
        assert [attempt.error_type for attempt in taken.attempts] == ["interrupted"]
        assert taken.cost_usd > 0


async def test_no_attempt_begins_after_the_requests_time(tmp_path: Path) -> None:
    late = Answer(first_after_s=0.3, refuses="reset")
    async with ScriptedProvider(late) as provider:
        variants = (remote(name, provider) for name in "abc")
        async with opened(tmp_path, *variants, server={"request_timeout_s": 0.2}) as services:
            taken = exchange(services)
            with pytest.raises(ApiError) as caught:
                await services.answering.whole(taken)
            assert caught.value.error_type == "timeout"
            assert taken.tries == 1
