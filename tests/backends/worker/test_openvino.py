"""What only this engine does, and what only load shows."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import openai
import pytest

from backends.types import Decoding
from tests.workers import Served, working

pytestmark = [pytest.mark.models, pytest.mark.timeout(120)]

ADMITTED: list[dict[str, Any]] = [
    {},
    {"type": "object"},
    {"type": ["string", "null"]},
    {"const": 3},
    {"enum": ["a", 1, None, True]},
    {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3},
    {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "object", "properties": {}}]}},
    {"type": "object", "properties": {"a": {"type": "number"}}, "additionalProperties": {"type": "string"}},
    {"type": "object", "properties": {"a": {"$ref": "#/$defs/d"}}, "$defs": {"d": {"type": "boolean"}}},
    {"type": "string", "properties": {"a": {}}, "items": {}},
    {"title": "nothing said", "description": "at all"},
]


@pytest.mark.parametrize("schema", ADMITTED, ids=str)
def test_the_engine_survives_every_schema_that_is_admitted(openvino_worker: Served, schema: dict[str, Any]) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    choice = openvino_worker.chat("Say something.", response_format=wanted, max_tokens=24).choices[0]
    if choice.finish_reason == "stop":
        msgspec.json.decode(choice.message.content)


def test_beam_search_gives_its_best_answer_whole_and_takes_no_penalty(openvino_spec: dict[str, Any]) -> None:
    decoding = Decoding(strategy="beam", num_beams=3)
    with working({**openvino_spec, "decoding": decoding}) as served:
        answer = served.chat("What is the capital of Japan?", temperature=1.5)
        assert "Tokyo" in answer.choices[0].message.content
        assert answer.usage.completion_tokens > 1
        with pytest.raises(openai.BadRequestError, match="presence_penalty"):
            served.chat(presence_penalty=1.0)


def test_the_variants_own_limit_ends_answers_that_have_none_but_never_refuses_a_long_prompt(
    openvino_spec: dict[str, Any],
) -> None:
    decoding = Decoding(temperature=0, max_tokens=6)
    with working({**openvino_spec, "decoding": decoding, "context_tokens": 256}) as served:
        story = served.chat("Write a long story about the sea.", max_tokens=None)
        assert (story.usage.completion_tokens, story.choices[0].finish_reason) == (6, "length")
        asked = served.chat("Write a long story about the sea.", max_tokens=9)
        assert asked.usage.completion_tokens == 9
        words = 218
        while True:
            full = served.chat(" a" * words, max_tokens=None).usage
            if full.prompt_tokens > 250:
                break
            words += 1
        assert full.total_tokens <= 256


def test_many_streams_all_end_and_the_worker_stays_responsive(openvino_worker: Served) -> None:
    def stream(number: int) -> tuple[int, str | None]:
        chunks = list(openvino_worker.chat(f"Tell story number {number}.", stream=True, max_tokens=16))
        return number, chunks[-1].choices[0].finish_reason

    with ThreadPoolExecutor(32) as pool:
        streams = [pool.submit(stream, number) for number in range(32)]
        waits_s = []
        while not all(done.done() for done in streams):
            asked_s = time.monotonic()
            openvino_worker.get("/healthz")
            waits_s.append(time.monotonic() - asked_s)
            time.sleep(0.01)
    assert {done.result()[1] for done in streams} <= {"length", "stop"}
    assert statistics.median(waits_s) < 0.05


def test_a_huge_prompt_keeps_nobody_waiting(openvino_worker: Served) -> None:
    huge = {"messages": [{"role": "user", "content": "lorem ipsum dolor " * 12_000}]}
    with ThreadPoolExecutor(1) as pool:
        refusal = pool.submit(openvino_worker.http.post, "/v1/chat/completions", json=huge)
        while not refusal.done():
            asked_s = time.monotonic()
            openvino_worker.get("/healthz")
            assert time.monotonic() - asked_s < 0.25
        assert refusal.result().json()["error"]["code"] == "context_length_exceeded"
