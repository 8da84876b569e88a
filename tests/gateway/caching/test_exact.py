"""Answers given again, through HTTP: what is the same, to whom, how good, and in which form."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.gateways import USAGE_EVENT, RunningGateway, behind, remote, running
from tests.providers import Answer, ScriptedProvider, chat_events, completion_body

ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}], "temperature": 0}
WHOLE = Answer(body=completion_body("whole answer"))
STREAM = Answer(events=[*chat_events("streamed ", "answer"), USAGE_EVENT])
CHAT = "/v1/chat/completions"


async def ask(gateway: RunningGateway, **fields: Any) -> tuple[str, str]:
    """The cache's outcome and the text, of a whole answer."""
    response, body = await gateway.post(CHAT, ASK | fields)
    assert response.status == 200, body
    return response.headers["X-Trilemma-Cache"], body["choices"][0]["message"]["content"]


def text_of(events: list[Any]) -> str:
    return "".join(choice["delta"].get("content", "") for event in events[:-1] for choice in event["choices"])


async def test_the_same_request_is_answered_again_without_asking_a_variant(tmp_path: Path) -> None:
    async with behind(tmp_path, WHOLE) as (gateway, [provider]):
        assert await ask(gateway) == ("miss", "whole answer")
        response, body = await gateway.post(CHAT, ASK)
        assert len(provider.requests) == 1
        assert response.headers["X-Trilemma-Cache"] == "exact"
        assert response.headers["X-Trilemma-Variant"] == body["model"] == "v0"
        assert float(response.headers["X-Trilemma-Cost-Usd"]) == 0
        assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
        assert body["id"] == response.headers["X-Request-Id"]


async def test_an_answer_made_whole_is_given_as_a_stream(tmp_path: Path) -> None:
    async with behind(tmp_path, WHOLE) as (gateway, [provider]):
        await ask(gateway)
        events = await gateway.stream(CHAT, ASK | {"stream_options": {"include_usage": True}})
        assert text_of(events) == "whole answer"
        assert events[-1] == "[DONE]"
        assert events[-2]["usage"]["total_tokens"] == 8
        assert events[-3]["choices"][0]["finish_reason"] == "stop"
        assert len(provider.requests) == 1


async def test_an_answer_that_was_streamed_is_given_whole(tmp_path: Path) -> None:
    async with behind(tmp_path, STREAM) as (gateway, [provider]):
        assert text_of(await gateway.stream(CHAT, ASK)) == "streamed answer"
        assert await ask(gateway) == ("exact", "streamed answer")
        assert len(provider.requests) == 1


async def test_the_official_client_reads_what_is_replayed(tmp_path: Path) -> None:
    async with behind(tmp_path, WHOLE) as (gateway, [provider]):
        for _ in range(2):
            made = await gateway.client.chat.completions.create(model="auto", **ASK)
            assert made.choices[0].message.content == "whole answer"
        stream = await gateway.client.chat.completions.create(model="auto", stream=True, **ASK)
        assert "".join([c.choices[0].delta.content or "" async for c in stream]) == "whole answer"
        assert len(provider.requests) == 1


async def test_a_text_completion_is_given_again_in_both_forms(tmp_path: Path) -> None:
    choice = {"index": 0, "text": "once", "finish_reason": "stop"}
    answer = Answer(body=json.dumps({"id": "x", "choices": [choice]}).encode())
    async with behind(tmp_path, answer) as (gateway, [provider]):
        for expected in ("miss", "exact"):
            response, body = await gateway.post("/v1/completions", {"prompt": "go", "temperature": 0})
            assert (response.headers["X-Trilemma-Cache"], body["choices"][0]["text"]) == (expected, "once")
        events = await gateway.stream("/v1/completions", {"prompt": "go", "temperature": 0})
        assert "".join(event["choices"][0]["text"] for event in events[:-1]) == "once"
        assert len(provider.requests) == 1


USES: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({"temperature": None}, ("bypass", "bypass")),
    ({"temperature": 0.7}, ("bypass", "bypass")),
    ({"temperature": 0.7, "seed": 4}, ("miss", "exact")),
    ({"temperature": 0.8, "cache": {"mode": "default"}}, ("miss", "exact")),
    ({"seed": 5, "cache": {"mode": "no-store"}}, ("bypass", "bypass")),
    ({"seed": 6, "cache": {"mode": "no-cache"}}, ("bypass", "bypass")),
    ({"temperature": 0.9, "cache": {"mode": "no-cache"}}, ("bypass", "bypass")),
]


async def test_only_what_would_be_the_same_again_is_given_again(tmp_path: Path) -> None:
    async with behind(tmp_path, WHOLE) as (gateway, _):
        for fields, outcomes in USES:
            assert tuple([(await ask(gateway, **fields))[0] for _ in range(2)]) == outcomes, fields


async def test_a_refresh_is_kept_for_those_who_come_after(tmp_path: Path) -> None:
    answers = [Answer(body=completion_body(text)) for text in ("old", "new")]
    async with behind(tmp_path, answers[0]) as (gateway, [provider]):
        provider.script = answers
        assert await ask(gateway) == ("miss", "old")
        assert await ask(gateway, cache={"mode": "no-cache"}) == ("bypass", "new")
        assert await ask(gateway) == ("exact", "new")


async def test_variants_that_decode_greedily_need_no_stated_temperature(tmp_path: Path) -> None:
    async with ScriptedProvider(WHOLE) as provider:
        greedy = remote("greedy", provider, decoding={"temperature": 0})
        async with running(tmp_path, greedy) as gateway:
            assert [(await ask(gateway, temperature=None))[0] for _ in range(2)] == ["miss", "exact"]


CHANGES: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": "hello "}]},
    {"max_tokens": 7},
    {"model": "v0"},
    {"stop": ["x"]},
    {"seed": 3},
    {"response_format": {"type": "text"}},
]
NO_CHANGES: list[dict[str, Any]] = [
    {"user": "ann"},
    {"metadata": {"team": "a"}},
    {"priority": "speed"},
    {"slo": {"latency_s": 30}},
    {"temperature": 0.0},
]


async def test_whatever_may_change_the_answer_makes_it_another_request_and_nothing_else_does(tmp_path: Path) -> None:
    async with behind(tmp_path, WHOLE) as (gateway, _):
        await ask(gateway)
        assert [(await ask(gateway, **change))[0] for change in CHANGES] == ["miss"] * len(CHANGES)
        assert [(await ask(gateway, **change))[0] for change in NO_CHANGES] == ["exact"] * len(NO_CHANGES)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=completion_body("cut").replace(b'"stop"', b'"length"')),
        Answer(body=completion_body("no").replace(b'"stop"', b'"content_filter"')),
        Answer(body=completion_body("x" * 2000)),
        Answer(body=completion_body("y").replace(b'"role": "assistant"', b'"tool_calls": [{"id": "1"}]')),
    ],
    ids=["cut at the variant's own limit", "filtered", "too long", "with more than text"],
)
async def test_only_complete_good_answers_are_kept(tmp_path: Path, answer: Answer) -> None:
    async with behind(tmp_path, answer, cache={"max_entry_bytes": 1024}) as (gateway, _):
        assert [(await ask(gateway))[0] for _ in range(2)] == ["miss", "miss"]


async def test_an_answer_cut_at_the_callers_own_limit_is_kept(tmp_path: Path) -> None:
    answer = Answer(body=completion_body("cut").replace(b'"stop"', b'"length"'))
    async with behind(tmp_path, answer) as (gateway, _):
        assert [(await ask(gateway, max_tokens=5))[0] for _ in range(2)] == ["miss", "exact"]


async def test_a_stream_that_breaks_off_is_not_kept(tmp_path: Path) -> None:
    cut = Answer(events=chat_events("half", finish=None), ending="cut")
    async with behind(tmp_path, cut) as (gateway, [provider]):
        assert "error" in (await gateway.stream(CHAT, ASK))[-1]
        provider.script = [WHOLE]
        assert await ask(gateway) == ("miss", "whole answer")


@asynccontextmanager
async def fast_and_good(directory: Path, **sections: Any) -> AsyncIterator[RunningGateway]:
    """Two variants that say their names; whoever wants speed gets the fast one."""
    async with (
        ScriptedProvider(Answer(body=completion_body("fast"))) as fast,
        ScriptedProvider(Answer(body=completion_body("good"))) as good,
        running(
            directory,
            remote("fast", fast, quality=0.4, ttft_s=0.01, tpot_s=0.0001),
            remote("good", good, quality=0.9, ttft_s=1.0),
            **sections,
        ) as gateway,
    ):
        yield gateway


SPEED = {"priority": {"speed": 1.0, "accuracy": 0.01}}
FLOOR = {"slo": {"min_quality": 0.8}}


async def test_an_answer_below_the_floor_is_a_miss_and_the_better_one_takes_its_place(tmp_path: Path) -> None:
    async with fast_and_good(tmp_path) as gateway:
        assert await ask(gateway, **SPEED) == ("miss", "fast")
        assert await ask(gateway, **SPEED) == ("exact", "fast")
        assert await ask(gateway, **SPEED, **FLOOR) == ("miss", "good")
        assert await ask(gateway, **SPEED) == ("exact", "good")


async def test_who_wants_accuracy_is_not_given_what_was_made_for_speed(tmp_path: Path) -> None:
    async with fast_and_good(tmp_path) as gateway:
        assert await ask(gateway, **SPEED) == ("miss", "fast")
        assert await ask(gateway, priority="accuracy") == ("miss", "good")
        assert await ask(gateway, **SPEED) == ("exact", "good")


async def test_a_worse_answer_never_takes_the_place_of_a_better_one(tmp_path: Path) -> None:
    async with fast_and_good(tmp_path) as gateway:
        assert await ask(gateway, **FLOOR) == ("miss", "good")
        assert await ask(gateway, **SPEED, cache={"mode": "no-cache"}) == ("bypass", "fast")
        assert await ask(gateway, **FLOOR) == ("exact", "good")


async def test_the_callers_own_ttl_shortens(tmp_path: Path) -> None:
    async with behind(tmp_path, WHOLE) as (gateway, _):
        await ask(gateway)
        assert (await ask(gateway, cache={"ttl_s": 1e9}))[0] == "exact"
        assert (await ask(gateway, cache={"ttl_s": 1e-6}))[0] == "miss"
