"""What every engine must do alike, asked by the official client."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from tests.workers import Served

pytestmark = [pytest.mark.models, pytest.mark.timeout(120)]

STORY = "Tell me a story about a dog."


def text_of(answer: Any) -> str:
    return answer.choices[0].message.content


def streamed(worker: Served, text: str, **fields: Any) -> tuple[str, str | None]:
    """Text and finish reason of a streamed answer."""
    chunks = list(worker.chat(text, stream=True, **fields))
    assert chunks[0].choices[0].delta.role == "assistant"
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert all(choice.finish_reason is None for choice in choices[:-1])
    return "".join(choice.delta.content or "" for choice in choices), choices[-1].finish_reason


def refused(worker: Served, **fields: Any) -> dict[str, Any]:
    with pytest.raises(openai.BadRequestError) as refusal:
        worker.chat(extra_body=fields)
    return refusal.value.body  # type: ignore[return-value]


def test_it_answers_a_question_and_ends_by_itself(worker: Served) -> None:
    answer = worker.chat("What is the capital of Japan?")
    assert "Tokyo" in text_of(answer)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == worker.spec.name


def test_a_stream_adds_up_to_the_whole_answer(worker: Served) -> None:
    whole = worker.chat(STORY)
    assert streamed(worker, STORY) == (text_of(whole), "length")


def test_max_tokens_ends_an_answer_and_is_what_is_counted(worker: Served) -> None:
    answer = worker.chat(STORY, max_tokens=7)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 7
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 7


def test_a_stream_tells_its_usage_last_when_asked(worker: Served) -> None:
    chunks = list(worker.chat(STORY, max_tokens=5, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == []
    assert chunks[-1].usage == worker.chat(STORY, max_tokens=5).usage
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_a_traced_request_is_told_what_its_time_went_to_and_others_are_not(worker: Served) -> None:
    traced = {"traceparent": f"00-{'a1' * 16}-{'b2' * 8}-01"}
    began_s = time.monotonic()
    whole = worker.chat(STORY, max_tokens=12, extra_headers=traced)
    took_s = time.monotonic() - began_s
    told = whole.model_extra["timings"]
    assert set(told) == {"queue_s", "prefill_s", "decode_s"}
    assert 0 < told["decode_s"] <= sum(told.values()) <= took_s
    [*_, last] = worker.chat(
        STORY, max_tokens=12, stream=True, stream_options={"include_usage": True}, extra_headers=traced
    )
    assert last.model_extra["timings"]["decode_s"] > 0
    assert "timings" not in (worker.chat(STORY, max_tokens=1).model_extra or {})


def test_a_seed_reproduces_an_answer_and_another_seed_gives_another(worker: Served) -> None:
    def sample(seed: int) -> str:
        return text_of(worker.chat(STORY, temperature=1.0, seed=seed, max_tokens=6))

    sample(7)  # a prompt that is read rounds differently from one that is found in the cache
    assert sample(7) == sample(7)
    assert len({sample(seed) for seed in range(8, 11)}) > 1


def test_several_answers_are_drawn_differently_and_reproduced_together(worker: Served) -> None:
    def samples() -> list[str]:
        answer = worker.chat(STORY, temperature=1.0, seed=40, n=3, max_tokens=6)
        assert answer.usage.completion_tokens == 18
        return [choice.message.content for choice in answer.choices]

    samples()
    first = samples()
    assert first == samples()
    assert len(set(first)) == 3


def test_an_answer_ends_before_its_stop_string(worker: Served) -> None:
    whole = text_of(worker.chat(STORY))
    stop = whole[10:16]  # whatever tokens it is made of
    expected = (whole[: whole.index(stop)], "stop")
    assert streamed(worker, STORY, stop=[stop, "never said"]) == expected
    answer = worker.chat(STORY, stop=stop)
    assert (text_of(answer), answer.choices[0].finish_reason) == expected


def test_sampling_beside_a_greedy_request_leaves_its_answer_as_it_is(worker: Served) -> None:
    alone = text_of(worker.chat("What is the capital of Japan?"))
    with ThreadPoolExecutor(4) as pool:
        noise = [pool.submit(worker.chat, STORY, temperature=1.2, seed=seed) for seed in range(3)]
        among = pool.submit(worker.chat, "What is the capital of Japan?").result()
        assert text_of(among) == alone
        assert len({text_of(answer.result()) for answer in noise}) == 3


def test_a_tiny_top_p_leaves_only_the_most_likely_token(worker: Served) -> None:
    greedy = worker.chat(STORY, max_tokens=8)
    narrow = worker.chat(STORY, max_tokens=8, temperature=1.0, top_p=1e-6, seed=5)
    assert text_of(narrow) == text_of(greedy)


def test_a_frequency_penalty_makes_an_answer_repeat_less(worker: Served) -> None:
    def distinct(**fields: Any) -> float:
        words = text_of(worker.chat("Write the word la many times: la la la la", max_tokens=20, **fields)).split()
        return len(set(words)) / len(words)

    assert distinct(frequency_penalty=2.0, presence_penalty=2.0) > distinct()


def test_a_prompt_beyond_the_context_is_refused_with_both_numbers(worker: Served) -> None:
    error = refused(worker, messages=[{"role": "user", "content": "word " * 3000}], max_tokens=None)
    assert error["code"] == "context_length_exceeded"
    assert str(worker.spec.context_tokens) in error["message"]
    assert any(int(word) > 3000 for word in error["message"].split() if word.isdigit())


def test_max_tokens_beyond_what_is_left_of_the_context_is_refused(worker: Served) -> None:
    error = refused(worker, max_tokens=worker.spec.context_tokens)
    assert (error["code"], error["param"]) == ("context_length_exceeded", "max_tokens")


def test_any_character_goes_in_and_comes_out_whole(worker: Served) -> None:
    echoed = "ça va? 日本語 🙂👩‍👩‍👧 \u0000 \ufffd end"
    answer = worker.client.completions.create(model="any", prompt=echoed, echo=True, max_tokens=12, temperature=0)
    assert answer.choices[0].text.startswith(echoed)
    pieces, _ = streamed(worker, "Repeat exactly: 🙂 日本語 é", max_tokens=20)
    assert "\ufffd" not in pieces[:-1]


def test_control_tokens_in_a_message_are_text(worker: Served) -> None:
    plain = worker.chat("hello", max_tokens=1).usage.prompt_tokens
    spelled = worker.chat("hello<|im_end|>", max_tokens=1).usage.prompt_tokens
    assert spelled > plain + 2


def test_each_prompt_of_a_completion_is_continued(worker: Served) -> None:
    prompts = ["Once upon a", "One, two, three,"]
    together = worker.client.completions.create(model="any", prompt=prompts, max_tokens=4, temperature=0, n=2)
    alone = [worker.client.completions.create(model="any", prompt=p, max_tokens=4, temperature=0) for p in prompts]
    first, second = (answer.choices[0].text for answer in alone)
    assert [choice.text for choice in together.choices] == [first, first, second, second]
    assert [choice.index for choice in together.choices] == [0, 1, 2, 3]


def test_token_probabilities_belong_to_the_text_or_are_refused(worker: Served) -> None:
    if "logprobs" not in worker.get("/v1/models")["data"][0]["capabilities"]:
        assert refused(worker, logprobs=True)["param"] == "logprobs"
        return
    choice = worker.chat("What is the capital of Japan?", max_tokens=5, logprobs=True).choices[0]
    assert "".join(entry.token for entry in choice.logprobs.content) == choice.message.content
    assert all(-20 < entry.logprob <= 0 for entry in choice.logprobs.content)


def test_an_answer_keeps_to_its_schema_or_the_schema_is_refused(worker: Served) -> None:
    properties = {"city": {"type": "string"}, "big": {"type": "boolean"}}
    schema = {"type": "object", "properties": properties, "required": ["city", "big"], "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    if "json_schema" not in worker.get("/v1/models")["data"][0]["capabilities"]:
        assert refused(worker, response_format=wanted)["param"] == "response_format"
        return
    import msgspec

    answer = worker.chat("Name a city.", response_format=wanted, max_tokens=60)
    assert msgspec.json.decode(text_of(answer), type=dict[str, str | bool]).keys() == {"city", "big"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": 3}, "temperature"),
        ({"mystery": 1}, "mystery"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": ""}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "4"}]}, "messages[0]"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"logit_bias": {"1": 5}}, "logit_bias"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "odd"}}}},
         "response_format.json_schema.schema"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_refused_by_name(worker: Served, fields: dict[str, Any], param: str) -> None:
    assert refused(worker, **fields)["param"] == param


def test_embeddings_are_refused_as_not_there(worker: Served) -> None:
    with pytest.raises(openai.NotFoundError, match="cannot embed"):
        worker.client.embeddings.create(model="any", input="text")


def test_closing_a_stream_frees_its_slot_at_once(worker: Served) -> None:
    stream = worker.chat(STORY, stream=True, max_tokens=1500)
    for _ in range(3):
        next(stream)
    assert worker.get("/load")["running"] == 1
    stream.close()
    worker.wait_for_load(running=0, queued=0, timeout_s=1.0)


def test_requests_beyond_the_slots_wait_and_all_end_right(worker: Served) -> None:
    alone = text_of(worker.chat("What is the capital of Japan?"))
    with ThreadPoolExecutor(12) as pool:
        answers = [pool.submit(streamed, worker, "What is the capital of Japan?") for _ in range(12)]
        load = worker.wait_for_load(running=worker.get("/load")["max_running"])
        assert load["queued"] > 0
        assert {answer.result() for answer in answers} == {(alone, "stop")}
    worker.wait_for_load(running=0, queued=0)
