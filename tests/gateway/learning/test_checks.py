from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.learning.checks import MAX_CHOICES
from gateway.learning.transcript import MAX_CHARACTERS, Transcript
from tests.gateways import HELLO, RunningGateway, remote, running, until
from tests.providers import Answer, ScriptedProvider, chat_events, completion_body

CHAT = "/v1/chat/completions"
PARIS = Answer(body=completion_body("It is Paris."))
CHECKS = [
    {"type": "regex", "pattern": "Paris"},
    {"type": "exact", "answer": "Paris", "name": "city"},
    {"type": "json_schema", "schema": {}},
]
SCORES = [("regex", 1.0), ("city", 0.0), ("json_schema", 0.0)]


async def observations(gateway: RunningGateway, decision_id: str, *, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(5):
        while len(found := (await gateway.record(decision_id))["observations"]) < count:
            await asyncio.sleep(0.01)
    return list(found)


async def decisions(gateway: RunningGateway, body: dict[str, Any]) -> str:
    async with gateway.session.post(f"{gateway.url}{CHAT}", json={**HELLO, **body}) as response:
        await response.read()
        return response.headers["x-trilemma-decision"]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_is_held_against_its_checks(tmp_path: Path, stream: bool) -> None:
    answer = Answer(events=chat_events("It is ", "Par", "is.")) if stream else PARIS
    async with ScriptedProvider(answer) as provider, running(tmp_path, remote("small", provider)) as gateway:
        decision_id = await decisions(gateway, {"checks": CHECKS, "stream": stream})
        found = await observations(gateway, decision_id, count=3)
        assert [(row["name"], row["score"]) for row in found] == SCORES
        assert {(row["source"], row["weight"], row["cost_usd"]) for row in found} == {("check", 1.0, 0.0)}
        assert b"checks" not in provider.requests[0].body


async def test_a_text_completion_is_checked_too(tmp_path: Path) -> None:
    body = {"id": "x", "object": "text_completion", "created": 1, "model": "m"}
    body["choices"] = [{"index": 0, "text": " is Paris", "finish_reason": "length"}]  # type: ignore[assignment]
    async with (
        ScriptedProvider(Answer(body=json.dumps(body).encode())) as provider,
        running(tmp_path, remote("small", provider)) as gateway,
    ):
        response, _ = await gateway.post("/v1/completions", {"prompt": "The capital", "checks": CHECKS[:1]})
        [row] = await observations(gateway, response.headers["x-trilemma-decision"], count=1)
        assert row["score"] == 1.0


async def test_the_official_client_can_ask_for_checks(tmp_path: Path) -> None:
    async with ScriptedProvider(PARIS) as provider, running(tmp_path, remote("small", provider)) as gateway:
        raw = await gateway.client.chat.completions.with_raw_response.create(
            model="auto", messages=HELLO["messages"], extra_body={"checks": CHECKS}
        )
        assert len(await observations(gateway, raw.headers["x-trilemma-decision"], count=3)) == 3


async def test_the_form_that_was_asked_for_weighs_little(tmp_path: Path) -> None:
    asked = {"response_format": {"type": "json_object"}}
    async with (
        ScriptedProvider(Answer(body=completion_body('{"a": 1}'))) as provider,
        running(tmp_path, remote("small", provider)) as gateway,
    ):
        [row] = await observations(gateway, await decisions(gateway, asked), count=1)
        assert (row["name"], row["score"], row["weight"]) == ("response_format", 1.0, 0.25)


async def test_several_answers_to_one_request_get_their_mean(tmp_path: Path) -> None:
    events = [*chat_events("Paris"), *chat_events("Rome", index=1)]
    async with (
        ScriptedProvider(Answer(events=events)) as provider,
        running(tmp_path, remote("small", provider)) as gateway,
    ):
        decision_id = await decisions(gateway, {"checks": CHECKS[:1], "n": 2, "stream": True})
        [row] = await observations(gateway, decision_id, count=1)
        assert row["score"] == 0.5


@pytest.mark.parametrize("stream", [False, True])
async def test_of_many_choices_the_first_ones_are_judged_and_the_caller_is_told(tmp_path: Path, stream: bool) -> None:
    texts = ["Paris"] * MAX_CHOICES + ["Rome"] * 4
    choices = [{"index": n, "text": text, "finish_reason": "stop"} for n, text in enumerate(texts)]
    whole = {"id": "x", "object": "text_completion", "created": 1, "model": "m", "choices": choices}
    event = b"data: " + json.dumps(whole).encode() + b"\n\n"
    answer = Answer(events=[event]) if stream else Answer(body=json.dumps(whole).encode())
    asked = {"prompt": ["capital"] * 10, "n": 2, "checks": CHECKS[:1], "stream": stream}
    async with ScriptedProvider(answer) as provider, running(tmp_path, remote("small", provider)) as gateway:
        url, explained = f"{gateway.url}/v1/completions", {"X-Trilemma-Explain": "1"}
        async with gateway.session.post(url, json=asked, headers=explained) as response:
            body = await response.read()
            assert response.headers["X-Trilemma-Unchecked"] == "choices"
        assert b'"unchecked":["choices"]' in body
        [row] = await observations(gateway, response.headers["x-trilemma-decision"], count=1)
        assert row["score"] == 1.0
        assert gateway.services.signals.stats.checks.dropped["choices"] == 1


async def test_an_answer_that_is_too_long_is_not_judged_and_the_caller_is_told(tmp_path: Path) -> None:
    long = Answer(body=completion_body("x" * (MAX_CHARACTERS + 1)))
    async with ScriptedProvider(long) as provider, running(tmp_path, remote("small", provider)) as gateway:
        async with gateway.session.post(f"{gateway.url}{CHAT}", json=HELLO | {"checks": CHECKS}) as response:
            await response.read()
            assert response.headers["X-Trilemma-Unchecked"] == "length"
        assert gateway.services.signals.stats.checks.dropped["length"] == 3


async def test_checks_of_one_name_get_a_score_each(tmp_path: Path) -> None:
    checks = [{"type": "regex", "pattern": "Paris"}, {"type": "regex", "pattern": "Rome"}]
    async with ScriptedProvider(PARIS) as provider, running(tmp_path, remote("small", provider)) as gateway:
        found = await observations(gateway, await decisions(gateway, {"checks": checks}), count=2)
        assert {(row["name"], row["score"]) for row in found} == {("regex", 1.0), ("regex#2", 0.0)}


async def test_an_answer_that_broke_off_or_that_nobody_waited_for_is_not_judged(tmp_path: Path) -> None:
    script = [Answer(events=chat_events("Paris", finish=None), ending=ending) for ending in ("cut", "stall")]
    body = {"checks": CHECKS, "stream": True}
    async with (
        ScriptedProvider(*script, PARIS) as provider,
        running(tmp_path, remote("small", provider)) as gateway,
    ):
        broken = await decisions(gateway, body)
        async with gateway.session.post(f"{gateway.url}{CHAT}", json={**HELLO, **body}) as response:
            await response.content.readany()
            left = response.headers["x-trilemma-decision"]
        await until(lambda: provider.left == 1)
        await observations(gateway, await decisions(gateway, {"checks": CHECKS}), count=3)
        for decision_id in (broken, left):
            record = await gateway.record(decision_id)
            assert record["outcome"]["ending"] != "done"
            assert record["observations"] == []


async def test_a_check_without_end_costs_the_caller_nothing(tmp_path: Path) -> None:
    branches = {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)} | {"a40": False}
    endless = {"type": "json_schema", "schema": {"$ref": "#/$defs/a0", "$defs": branches}}
    async with (
        ScriptedProvider(Answer(body=completion_body("1"))) as provider,
        running(tmp_path, remote("small", provider)) as gateway,
    ):
        decision_id = await decisions(gateway, {"checks": [endless, CHECKS[0]]})
        assert gateway.services.signals.stats.checks.given_up == 0  # The answer is here; the check still runs.
        [row] = await observations(gateway, decision_id, count=1)
        assert (row["name"], row["score"]) == ("regex", 0.0)
        assert gateway.services.signals.stats.checks.given_up == 1


async def test_a_score_that_is_due_when_the_gateway_stops_is_still_logged(tmp_path: Path) -> None:
    async with ScriptedProvider(PARIS) as provider:
        async with running(tmp_path, remote("small", provider)) as gateway:
            decision_id = await decisions(gateway, {"checks": CHECKS})
        async with running(tmp_path, remote("small", provider)) as gateway:
            assert len(await observations(gateway, decision_id, count=3)) == 3


def test_a_transcript_that_grows_too_long_is_given_up() -> None:
    heard = Transcript()
    for _ in range(MAX_CHARACTERS // 1000 + 1):
        heard.add({"choices": [{"delta": {"content": "x" * 1000}}]})
    assert heard.texts == ()


def test_what_is_no_text_is_left_out_of_a_transcript() -> None:
    heard = Transcript()
    heard.add({"choices": [{"index": 1, "delta": {"content": None, "role": "assistant"}}, {"delta": {"content": 3}}]})
    heard.add({"choices": [{"index": 1, "delta": {"content": "b"}}, {"index": 0, "text": "a"}, {"delta": None}]})
    assert heard.texts == ("a", "b")
