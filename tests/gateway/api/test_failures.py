from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest

from gateway.decisions.read import export
from tests.gateways import HELLO, RunningGateway, behind, until
from tests.providers import Answer, chat_events, completion_body

CHAT = "/v1/chat/completions"
STREAM = {**HELLO, "stream": True}
GOOD = Answer(body=completion_body("Paris"))
GOOD_STREAM = Answer(events=chat_events("Paris"))
RESET = Answer(refuses="reset")
ENDLESS = Answer(events=chat_events(*"x" * 500), every_s=0.01)


async def test_the_official_client_raises_on_an_error_inside_a_stream(tmp_path: Path) -> None:
    broken = Answer(events=chat_events("Pa", finish=None), ending="cut")
    async with behind(tmp_path, broken) as (gateway, _):
        stream = await gateway.client.chat.completions.create(model="auto", messages=HELLO["messages"], stream=True)
        with pytest.raises(openai.APIError, match="not completed"):
            [chunk async for chunk in stream]


async def test_no_more_than_three_variants_are_tried(tmp_path: Path) -> None:
    async with behind(tmp_path, RESET, RESET, RESET, GOOD) as (gateway, providers):
        response, body = await gateway.post(CHAT, HELLO)
        assert (response.status, body["error"]["type"]) == (502, "upstream_error")
        assert response.headers["x-trilemma-attempts"] == "3"
        assert [len(provider.requests) for provider in providers] == [1, 1, 1, 0]
        outcome = (await gateway.record(response.headers["x-trilemma-decision"]))["outcome"]
        assert (outcome["ending"], outcome["error_type"], len(outcome["attempts"])) == ("failed", "upstream_error", 3)


async def test_a_request_that_is_itself_wrong_is_not_tried_elsewhere(tmp_path: Path) -> None:
    wrong = Answer(status=400, body=b'{"error": {"message": "logit_bias is odd"}}')
    async with behind(tmp_path, wrong, GOOD) as (gateway, providers):
        response, body = await gateway.post(CHAT, HELLO)
        assert (response.status, body["error"]["type"]) == (400, "invalid_request_error")
        assert "logit_bias is odd" in body["error"]["message"]
        assert providers[1].requests == []


async def test_a_pinned_variant_has_no_stand_in_and_its_own_error_is_told(tmp_path: Path) -> None:
    busy = Answer(status=429, headers={"Retry-After": "7"}, body=b'{"error": {"message": "slow down"}}')
    async with behind(tmp_path, busy, GOOD) as (gateway, providers):
        with pytest.raises(openai.RateLimitError, match="slow down") as caught:
            await gateway.client.chat.completions.create(model="v0", messages=HELLO["messages"])
        assert caught.value.response.headers["retry-after"] == "7"
        assert providers[1].requests == []


async def test_a_request_that_takes_too_long_is_a_408(tmp_path: Path) -> None:
    slow = Answer(first_after_s=5, body=completion_body("late"))
    async with behind(tmp_path, slow, GOOD, server={"request_timeout_s": 0.3}) as (gateway, _):
        for body in (HELLO, STREAM):
            began_s = time.monotonic()
            response, answer = await gateway.post(CHAT, body)
            assert (response.status, answer["error"]["type"]) == (408, "timeout")
            assert time.monotonic() - began_s < 1


async def leaves_mid_stream(gateway: RunningGateway) -> None:
    async with gateway.session.post(f"{gateway.url}{CHAT}", json=STREAM) as response:
        await response.content.readany()
        response.close()


async def leaves_while_waiting(gateway: RunningGateway, body: dict[str, Any]) -> None:
    waiting = asyncio.ensure_future(gateway.session.post(f"{gateway.url}{CHAT}", json=body))
    await until(lambda: gateway.services.catalogue.view("v0").in_flight == 1)
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.wait([waiting])


@pytest.mark.parametrize("when", ["mid_stream", "before_the_first_token", "before_the_answer"])
async def test_a_caller_that_leaves_stops_the_variant_within_a_second(tmp_path: Path, when: str) -> None:
    answers = {
        "mid_stream": ENDLESS,
        "before_the_first_token": Answer(events=chat_events(finish=None), ending="stall"),
    }
    answer = answers.get(when, Answer(events=[b" "] * 500, every_s=0.01))
    async with behind(tmp_path, answer) as (gateway, providers):
        if when == "mid_stream":
            await leaves_mid_stream(gateway)
        else:
            await leaves_while_waiting(gateway, STREAM if when == "before_the_first_token" else HELLO)
        await until(lambda: providers[0].left == 1, within_s=1)
        assert gateway.services.catalogue.view("v0").in_flight == 0
        found = await only_record(gateway)
        assert (found["ending"], found["error_type"]) == ("cancelled", None)
        assert [attempt["error_type"] for attempt in found["attempts"]] == ["interrupted"]
        assert (found["completion_tokens"] > 0) == (when == "mid_stream")


async def only_record(gateway: RunningGateway) -> dict[str, Any]:
    """The outcome of the only request so far."""
    await gateway.services.log.flush()
    url = gateway.services.log._engine.url.render_as_string()
    [record] = await asyncio.to_thread(lambda: list(export(url)))
    assert record.outcome is not None
    return dict(msgspec.to_builtins(record.outcome))


async def test_many_streams_at_once_all_end_right(tmp_path: Path) -> None:
    answer = Answer(events=chat_events(*"abcdefgh"), every_s=0.005)
    async with behind(tmp_path, answer) as (gateway, _):
        answers = await asyncio.gather(*(gateway.stream(CHAT, HELLO) for _ in range(32)))
        for events in answers:
            assert events[-1] == "[DONE]"
            assert "".join(c["delta"].get("content", "") for e in events[:-1] for c in e["choices"]) == "abcdefgh"


async def test_a_bug_of_ours_is_a_500_that_tells_no_secret_and_a_failed_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with behind(tmp_path, GOOD) as (gateway, _):
        monkeypatch.setattr("gateway.routing.caller.encode_body", lambda *_, **__: 1 / 0)
        response, body = await gateway.post(CHAT, HELLO, X_Request_Id="mine-1")
        assert (response.status, body["error"]["type"]) == (500, "server_error")
        assert "division" not in body["error"]["message"]
        assert "mine-1" in caplog.text
        assert "ZeroDivisionError" in caplog.text
        assert response.headers["x-request-id"] == "mine-1"
        found = await only_record(gateway)
        assert (found["ending"], found["error_type"]) == ("failed", "server_error")
