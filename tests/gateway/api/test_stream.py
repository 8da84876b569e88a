from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.gateways import HELLO, USAGE_EVENT, events_of, remote, running
from tests.providers import Answer, ScriptedProvider, chat_events

CHAT = "/v1/chat/completions"
ASKED = Answer(events=[*chat_events("Par", "is"), USAGE_EVENT])


def content(events: list[dict[str, object]]) -> str:
    return "".join(c["delta"].get("content", "") for e in events for c in e["choices"])  # type: ignore[attr-defined]


async def test_a_stream_ends_with_done_and_names_the_variant(tmp_path: Path) -> None:
    async with ScriptedProvider(ASKED) as provider, running(tmp_path, remote("small", provider)) as gateway:
        async with gateway.session.post(f"{gateway.url}{CHAT}", json={**HELLO, "stream": True}) as response:
            events = events_of(await response.read())
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["x-trilemma-variant"] == "small"
        assert response.headers["x-trilemma-attempts"] == "1"
        assert "first_token;dur=" in response.headers["server-timing"]
        assert "x-trilemma-cost-usd" not in response.headers
        assert events[-1] == "[DONE]"
        assert content(events[:-1]) == "Paris"
        assert {(e["id"], e["model"]) for e in events[:-1]} == {(response.headers["x-request-id"], "small")}
        assert not any("usage" in event for event in events[:-1])
        assert all(event["choices"] for event in events[:-1])
        outcome = (await gateway.record(response.headers["x-trilemma-decision"]))["outcome"]
        assert (outcome["ending"], outcome["completion_tokens"], outcome["streamed"]) == ("done", 5, True)
        assert outcome["ttft_s"] > 0
        assert outcome["tpot_s"] > 0


async def test_usage_comes_in_a_chunk_of_its_own_where_asked_for(tmp_path: Path) -> None:
    async with ScriptedProvider(ASKED) as provider, running(tmp_path, remote("small", provider)) as gateway:
        events = await gateway.stream(CHAT, {**HELLO, "stream_options": {"include_usage": True}})
        assert [event.get("usage", "none") for event in events[:-2]] == [None] * 4
        assert events[-2]["choices"] == []
        assert events[-2]["usage"] == {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
        assert json.loads(provider.requests[0].body)["stream_options"] == {"include_usage": True}


async def test_the_explanation_travels_in_the_last_chunk(tmp_path: Path) -> None:
    async with ScriptedProvider(ASKED) as provider, running(tmp_path, remote("small", provider)) as gateway:
        events = await gateway.stream(CHAT, HELLO, X_Trilemma_Explain="1")
        about = events[-2]["trilemma"]
        assert (about["variant"], about["cost_usd"]) == ("small", pytest.approx(13e-6))
        assert [attempt["error_type"] for attempt in about["attempts"]] == [None]
        assert set(about["stages"]) >= {"features", "decide", "load", "first_token", "generate"}
        assert "usage" not in events[-2]


async def test_the_official_client_reads_streams_of_both_routes(tmp_path: Path) -> None:
    texts = [b'data: {"choices": [{"index": 0, "text": "%s", "finish_reason": %s}]}\n\n' % pair
             for pair in ((b"a", b"null"), (b"b", b'"stop"'))]  # fmt: skip
    script = (ASKED, Answer(events=texts))
    async with ScriptedProvider(*script) as provider, running(tmp_path, remote("small", provider)) as gateway:
        chat = await gateway.client.chat.completions.create(
            model="auto", messages=HELLO["messages"], stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in chat]
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Paris"
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens == 5
        text = await gateway.client.completions.create(model="auto", prompt="x", stream=True)
        assert [chunk.choices[0].text async for chunk in text] == ["a", "b"]


async def test_a_stream_without_done_is_whole_once_it_has_a_finish_reason(tmp_path: Path) -> None:
    answer = Answer(events=chat_events("Paris"), ending="no_done")
    async with ScriptedProvider(answer) as provider, running(tmp_path, remote("small", provider)) as gateway:
        events = await gateway.stream(CHAT, {**HELLO, "stream_options": {"include_usage": True}})
        assert events[-1] == "[DONE]"
        assert events[-2]["usage"]["completion_tokens"] == 1, "counted, as the variant did not tell"


async def test_each_of_several_choices_must_finish(tmp_path: Path) -> None:
    both = [*chat_events("a"), *chat_events("b", index=1)]
    async with (
        ScriptedProvider(Answer(events=both, ending="no_done"), Answer(events=chat_events("a"), ending="cut")) as p,
        running(tmp_path, remote("small", p)) as gateway,
    ):
        events = await gateway.stream(CHAT, {**HELLO, "n": 2})
        assert events[-1] == "[DONE]"
        assert {c["index"] for e in events[:-1] for c in e["choices"]} == {0, 1}
        assert "error" in (await gateway.stream(CHAT, {**HELLO, "n": 2}))[-1]


async def test_pieces_arrive_as_they_are_generated(tmp_path: Path) -> None:
    answer = Answer(events=chat_events("a", "b", "c"), every_s=0.1)
    async with ScriptedProvider(answer) as provider, running(tmp_path, remote("small", provider)) as gateway:
        body = {**HELLO, "stream": True}
        async with gateway.session.post(f"{gateway.url}{CHAT}", json=body) as response:
            pieces = [chunk async for chunk in response.content.iter_any()]
        assert len(pieces) >= 4
