"""A cascade at run time: the first answer is held back, judged, and passed on as it came or escalated."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.routing.exchange import Exchange
from gateway.services import Services
from gateway.telemetry import names
from policies.policy import Cascade, Rule, Then
from tests.gateways import HELLO, USAGE_EVENT, exchange, opened, remote, running, tried
from tests.providers import Answer, ScriptedProvider, chat_events, completion_body

CASCADE = Cascade(first="tiny", then="full", threshold=0.6, escalates=0.2, recovers=0.95)
SURE, UNSURE = math.log(0.9), math.log(0.3)
RIGHT = {"checks": [{"type": "exact", "answer": "Paris"}]}
DEAR = {"prompt_per_mtok_usd": 10.0, "completion_per_mtok_usd": 20.0}
REFUSED = Answer(status=400, body=b'{"error": {"message": "logprobs are not supported"}}')
RESET = Answer(refuses="reset")


def whole(text: str, logprob: float | None = None) -> Answer:
    body = json.loads(completion_body(text))
    if logprob is not None:
        body["choices"][0]["logprobs"] = {"content": [{"token": text, "logprob": logprob}]}
    return Answer(body=json.dumps(body).encode())


def streamed(*pieces: str, logprob: float | None = None) -> Answer:
    events = []
    for event in chat_events(*pieces):
        data = json.loads(event.removeprefix(b"data: "))
        [choice] = data["choices"]
        if logprob is not None and "content" in choice["delta"]:
            choice["logprobs"] = {"content": [{"token": "x", "logprob": logprob}]}
        events.append(b"data: %s\n\n" % json.dumps(data).encode())
    return Answer(events=[*events, USAGE_EVENT])


@asynccontextmanager
async def cascading(
    directory: Path, first: Answer, then: Answer, **fields: Any
) -> AsyncIterator[tuple[Services, ScriptedProvider, ScriptedProvider]]:
    """A gateway whose policy begins with `tiny` and escalates to `full`."""
    async with ScriptedProvider(first) as tiny, ScriptedProvider(then) as full:
        variants = remote("tiny", tiny, quality=0.5, **fields), remote("full", full, quality=0.9, price=DEAR)
        async with opened(directory, *variants) as services:
            put_in_force(services)
            yield services, tiny, full


def put_in_force(services: Services) -> None:
    rules = (Rule(name="careful", then=Then(cascade=True)),)
    policy = msgspec.structs.replace(services.policies.current, hash="c", cascade=CASCADE, rules=rules)
    services.policies.swap(policy)


def taken_up(services: Services, **fields: Any) -> Exchange:
    return exchange(services, priority={"accuracy": 0.7, "cost": 0.3}, **fields)


async def events_of(services: Services, taken: Exchange) -> list[Any]:
    async with aclosing(services.answering.events(taken)) as events:
        return [event async for event in events]


def text_of(events: list[Any]) -> str:
    return "".join(choice["delta"].get("content", "") for event in events for choice in event["choices"])


def asked(provider: ScriptedProvider) -> list[Any]:
    return [json.loads(request.body).get("logprobs") for request in provider.requests]


async def test_an_answer_that_is_sure_enough_is_given_without_what_only_we_asked_for(tmp_path: Path) -> None:
    async with cascading(tmp_path, whole("Paris", SURE), whole("Lyon")) as (services, tiny, full):
        taken = taken_up(services)
        answer = await services.answering.whole(taken)
        assert (answer["model"], answer["choices"][0]["logprobs"]) == ("tiny", None)
        assert taken.confidence.value == pytest.approx(0.9)
        assert [attempt.held for attempt in taken.attempts] == ["good_enough"]
        assert (asked(tiny), full.requests) == ([True], [])


async def test_an_unsure_answer_is_escalated_and_both_are_paid_for(tmp_path: Path) -> None:
    async with cascading(tmp_path, whole("Lyon", UNSURE), whole("Paris")) as (services, _, full):
        taken = taken_up(services)
        answer = await services.answering.whole(taken)
        assert (answer["model"], answer["choices"][0]["message"]["content"]) == ("full", "Paris")
        first, second = taken.attempts
        assert (first.variant, first.held, first.error_type) == ("tiny", "low_confidence", None)
        assert (first.confidence, second.confidence) == (pytest.approx(0.3), None)
        assert (second.variant, second.held) == ("full", None)
        assert tried(taken) == [("tiny", "first", None), ("full", "escalation", None)]
        held = [span.attributes.get(names.HELD) for span in taken.timeline.spans if span.name == "attempt"]
        assert held == ["low_confidence", None]
        assert taken.cost_usd == pytest.approx(13e-6 + 130e-6) == pytest.approx(first.cost_usd + second.cost_usd)
        assert first.propensity == second.propensity == 1.0, "one choice led to both"
        assert asked(full) == [None]


async def test_an_answer_that_fails_its_check_is_escalated_though_nobody_tells_a_confidence(tmp_path: Path) -> None:
    async with cascading(tmp_path, whole("Lyon"), whole("Paris"), capabilities=[]) as (services, tiny, _):
        taken = taken_up(services, **RIGHT)
        assert (await services.answering.whole(taken))["model"] == "full"
        assert [attempt.held for attempt in taken.attempts] == ["check_failed", None]
        tiny.script = [whole("Paris!")]
        passing = taken_up(services, **RIGHT)
        assert (await services.answering.whole(passing))["model"] == "tiny"
        assert asked(tiny) == [None, None]


async def test_without_anything_to_judge_by_the_answer_comes_as_it_is(tmp_path: Path) -> None:
    async with cascading(tmp_path, whole("Lyon"), whole("Paris"), capabilities=[]) as (services, _, _):
        taken = exchange(services, priority={"cost": 1})
        await services.answering.whole(taken)
        assert taken.decision is not None
        assert taken.decision.cascade is None
        assert [(attempt.variant, attempt.held) for attempt in taken.attempts] == [("tiny", None)]


async def test_an_accepted_stream_is_replayed_event_by_event(tmp_path: Path) -> None:
    async with cascading(tmp_path, streamed("Pa", "ris", logprob=SURE), whole("x")) as (services, _, full):
        taken = taken_up(services, stream=True)
        events = await events_of(services, taken)
        assert text_of(events) == "Paris"
        assert len(events) == 5, "role, two pieces, the end, the usage"
        assert all(choice["logprobs"] is None for event in events for choice in event["choices"])
        assert (taken.usage.completion_tokens, taken.finish_reason, full.requests) == (5, "stop", [])


async def test_an_escalated_stream_shows_nothing_of_the_first_answer(tmp_path: Path) -> None:
    first, then = streamed("Ly", "on", logprob=UNSURE), streamed("Pa", "ris")
    async with cascading(tmp_path, first, then) as (services, _, _):
        taken = taken_up(services, stream=True)
        assert text_of(await events_of(services, taken)) == "Paris"
        assert (taken.variant, taken.confidence.value) == ("full", None)
        assert taken.ttft_s is not None
        assert taken.ttft_s > taken.attempts[0].latency_s, "the caller saw nothing until then"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_the_held_answer_is_given_when_the_second_variant_fails(tmp_path: Path, stream: bool) -> None:
    first = streamed("Ly", "on", logprob=UNSURE) if stream else whole("Lyon", UNSURE)
    async with cascading(tmp_path, first, RESET) as (services, _, _):
        taken = taken_up(services, stream=stream)
        if stream:
            assert text_of(await events_of(services, taken)) == "Lyon"
            assert taken.ttft_s is not None
        else:
            assert (await services.answering.whole(taken))["choices"][0]["message"]["content"] == "Lyon"
        assert (taken.variant, taken.usage.completion_tokens, taken.finish_reason) == ("tiny", 5, "stop")
        assert taken.confidence.value == pytest.approx(0.3)
        assert [(a.held, a.error_type) for a in taken.attempts] == [
            ("low_confidence", None),
            (None, "connection_lost"),
        ]


async def test_an_unsure_answer_is_given_when_a_second_one_would_come_too_late(tmp_path: Path) -> None:
    slow = dataclasses.replace(whole("Lyon", UNSURE), first_after_s=0.4)
    async with cascading(tmp_path, slow, whole("Paris"), ttft_s=0.01, tpot_s=0.0001) as (services, _, full):
        taken = exchange(services, priority={"accuracy": 0.3, "cost": 0.7}, slo={"latency_s": 0.5}, max_tokens=8)
        assert (await services.answering.whole(taken))["model"] == "tiny"
        assert [attempt.held for attempt in taken.attempts] == ["low_confidence"]
        assert full.requests == []


async def test_a_first_variant_that_fails_is_replaced_as_ever(tmp_path: Path) -> None:
    async with cascading(tmp_path, RESET, whole("Paris")) as (services, _, _):
        taken = taken_up(services)
        assert (await services.answering.whole(taken))["model"] == "full"
        assert [(a.variant, a.held) for a in taken.attempts] == [("tiny", None), ("full", None)]


async def test_who_refuses_to_tell_its_confidence_is_asked_again_without(tmp_path: Path) -> None:
    async with cascading(tmp_path, REFUSED, whole("Paris")) as (services, tiny, full):
        tiny.script = [REFUSED, whole("Lyon")]
        taken = taken_up(services)
        assert (await services.answering.whole(taken))["model"] == "tiny"
        assert asked(tiny) == [True, None]
        assert [(a.held, a.error_type) for a in taken.attempts] == [("good_enough", None)]
        assert full.requests == []


async def test_a_caller_that_wants_the_log_probabilities_has_them(tmp_path: Path) -> None:
    async with cascading(tmp_path, whole("Paris", SURE), whole("x"), capabilities=["logprobs"]) as (services, _, _):
        taken = exchange(services, priority={"cost": 1}, logprobs=True)
        answer = await services.answering.whole(taken)
        assert answer["choices"][0]["logprobs"]["content"][0]["logprob"] == pytest.approx(SURE)


async def test_leaving_while_an_answer_is_held_stops_its_generation(tmp_path: Path) -> None:
    endless = Answer(events=chat_events("x", finish=None), ending="stall")
    async with cascading(tmp_path, endless, whole("Paris")) as (services, tiny, full):
        taken = taken_up(services, stream=True)
        work = asyncio.create_task(events_of(services, taken))
        while not tiny.requests or not taken.usage.completion_tokens:
            await asyncio.sleep(0.005)
        work.cancel()
        await asyncio.wait([work])
        assert services.catalogue.view("tiny").in_flight == 0
        assert [(a.held, a.error_type) for a in taken.attempts] == [(None, "interrupted")]
        assert (taken.ttft_s, full.requests) == (None, [])


async def test_the_explanation_and_the_log_tell_of_both_answers(tmp_path: Path) -> None:
    async with ScriptedProvider(whole("Lyon", UNSURE)) as tiny, ScriptedProvider(whole("Paris")) as full:
        variants = remote("tiny", tiny, quality=0.5), remote("full", full, quality=0.9, price=DEAR)
        async with running(tmp_path, *variants) as gateway:
            put_in_force(gateway.services)
            body = HELLO | {"priority": {"accuracy": 0.7, "cost": 0.3}}
            response, answer = await gateway.post("/v1/chat/completions", body, X_Trilemma_Explain="1")
            told = answer["trilemma"]
            assert (told["variant"], told["cascade"]["threshold"]) == ("full", 0.6)
            assert [attempt["held"] for attempt in told["attempts"]] == ["low_confidence", None]
            assert "judge" in told["stages"]
            assert response.headers["X-Trilemma-Attempts"] == "2"
            outcome = (await gateway.record(told["decision"]))["outcome"]
            assert outcome["attempts"] == told["attempts"]
            assert outcome["cost_usd"] == pytest.approx(sum(a["cost_usd"] for a in told["attempts"]))
