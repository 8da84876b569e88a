from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai
import pytest

from gateway.demo.recordings import MODELS, packaged_tasks
from gateway.demo.replay import MAX_BODY_BYTES, replaying

TASKS = packaged_tasks()
TASK = TASKS[0]
MODEL = "qwen-coder-1.5b"
ANSWER = TASK.answers[MODEL]
FAST = 1000.0


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with replaying(TASKS, speed=FAST) as url:
        yield url


@pytest.fixture
async def client(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    plain = openai.DefaultAsyncHttpxClient(verify=False)  # Reading certificates takes long.
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, http_client=plain) as client:
        yield client


def asked(prompt: str = TASK.prompt, model: str = MODEL) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": prompt}]}


async def test_a_whole_answer_is_the_recorded_one(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(**asked())
    assert (answer.model, answer.choices[0].message.content) == (MODEL, ANSWER.text)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == ANSWER.prompt_tokens
    assert answer.usage.completion_tokens == ANSWER.completion_tokens


async def test_a_streamed_answer_has_an_event_for_each_token_and_the_usage_last(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(**asked(), stream=True, stream_options={"include_usage": True})
    *chunks, last = [chunk async for chunk in stream]
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content is not None]
    assert len(pieces) == ANSWER.completion_tokens
    assert "".join(pieces) == ANSWER.text
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.total_tokens == ANSWER.prompt_tokens + ANSWER.completion_tokens


async def test_a_stream_without_usage_has_none(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(**asked(), stream=True)
    assert [chunk.usage async for chunk in stream if chunk.usage is not None] == []


async def test_an_answer_that_was_cut_says_so(client: openai.AsyncOpenAI) -> None:
    cut = next(
        (task, model)
        for task in TASKS
        for model, answer in task.answers.items()
        if answer.completion_tokens == task.max_tokens
    )
    answer = await client.chat.completions.create(**asked(cut[0].prompt, cut[1]))
    assert answer.choices[0].finish_reason == "length"


async def test_every_model_is_listed_and_answers(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == list(MODELS)
    for model in MODELS:
        answer = await client.chat.completions.create(**asked(model=model))
        assert answer.choices[0].message.content == TASK.answers[model].text


async def test_it_says_that_it_is_well(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/health") as reply:
        assert (reply.status, await reply.json()) == (200, {"status": "ok"})


async def test_a_prompt_without_a_recording_is_refused_by_name(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="no answer to this prompt is recorded") as refused:
        await client.chat.completions.create(**asked("Who are you?"))
    assert refused.value.code == "prompt_not_recorded"


async def test_an_unknown_model_is_refused_with_those_there_are(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="there is no model `gpt`; known: smollm2-135m"):
        await client.chat.completions.create(**asked(model="gpt"))


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/v1/chat/completions", b"{", 400, "invalid_body"),
        ("POST", "/v1/chat/completions", b'{"model": "qwen-coder-1.5b", "messages": []}', 400, "prompt_not_recorded"),
        ("POST", "/v1/chat/completions", b" " * (MAX_BODY_BYTES + 1), 413, "body_too_large"),
        ("GET", "/v1/embeddings", None, 404, "not_found"),
    ],
)
async def test_what_cannot_be_answered_is_an_openai_error(
    url: str, method: str, path: str, body: bytes | None, status: int, code: str
) -> None:
    async with aiohttp.ClientSession() as session, session.request(method, url + path, data=body) as reply:
        assert (reply.status, (await reply.json())["error"]["code"]) == (status, code)
