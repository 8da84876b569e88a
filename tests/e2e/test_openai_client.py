"""The official client against real variants: what an application developer will do first."""

from __future__ import annotations

import openai
import pytest

from tests.serving import Gateway

pytestmark = [pytest.mark.models, pytest.mark.timeout(120)]

TOKYO = [{"role": "user", "content": "What is the capital of Japan?"}]


@pytest.mark.parametrize("variant", ["quantized", "full"])
def test_a_pinned_variant_answers_and_names_itself(gateway: Gateway, variant: str) -> None:
    answer = gateway.client().chat.completions.create(model=variant, messages=TOKYO, temperature=0, max_tokens=16)
    assert "Tokyo" in (answer.choices[0].message.content or "")
    assert answer.model == variant
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream_says_what_the_whole_answer_says(gateway: Gateway) -> None:
    client = gateway.client()
    asked = {"model": "quantized", "messages": TOKYO, "temperature": 0, "max_tokens": 24}
    whole = client.chat.completions.create(**asked)
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert streamed == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"


def test_text_completions_continue_a_text_whole_and_streamed(gateway: Gateway) -> None:
    client = gateway.client()
    asked = {"model": "quantized", "prompt": "The capital of Japan is", "temperature": 0, "max_tokens": 4}
    whole = client.completions.create(**asked)
    streamed = "".join(chunk.choices[0].text for chunk in client.completions.create(**asked, stream=True))
    assert "Tokyo" in whole.choices[0].text
    assert streamed == whole.choices[0].text


def test_auto_routes_by_the_hint_and_explains_itself(gateway: Gateway) -> None:
    chosen = {}
    for priority in ("speed", "cost", "accuracy", "balanced"):
        answer = gateway.client().chat.completions.create(
            model="auto",
            messages=TOKYO,
            max_tokens=8,
            extra_body={"priority": priority},
            extra_headers={"X-Trilemma-Explain": "1"},
        )
        about = answer.model_extra["trilemma"]
        best = max((c for c in about["candidates"] if not c["excluded_because"]), key=lambda c: c["utility"])
        assert answer.model == best["variant"]
        assert sum(c["propensity"] for c in about["candidates"]) == pytest.approx(1.0)
        chosen[priority] = answer.model
    assert chosen["accuracy"] == "full"
    assert chosen["speed"] != "full"


def test_hard_limits_exclude_with_their_figures(gateway: Gateway) -> None:
    answer = gateway.client().chat.completions.create(
        model="auto",
        messages=TOKYO,
        max_tokens=8,
        extra_body={"priority": "speed", "slo": {"min_quality": 0.72}},
        extra_headers={"X-Trilemma-Explain": "1"},
    )
    out = {c["variant"]: c["excluded_because"] for c in answer.model_extra["trilemma"]["candidates"]}
    assert out["pruned"]["reason"] == "quality"
    assert "floor 0.72" in out["pruned"]["detail"]


def test_an_answer_says_in_headers_what_was_done(gateway: Gateway) -> None:
    raw = gateway.client().chat.completions.with_raw_response.create(
        model="small", messages=TOKYO, max_tokens=8, extra_headers={"X-Request-Id": "my-request-1"}
    )
    assert raw.headers["x-request-id"] == "my-request-1"
    assert raw.headers["x-trilemma-variant"] in {"quantized", "pruned"}
    assert raw.headers["x-trilemma-attempts"] == "1"
    assert float(raw.headers["x-trilemma-cost-usd"]) > 0
    assert "decide;dur=" in raw.headers["server-timing"]
    decision = gateway.get(f"/v1/decisions/{raw.headers['x-trilemma-decision']}")
    assert decision["outcome"]["ending"] == "done"


def test_feedback_joins_its_decision(gateway: Gateway) -> None:
    client = gateway.client()
    raw = client.chat.completions.with_raw_response.create(model="quantized", messages=TOKYO, max_tokens=4)
    decision_id = raw.headers["x-trilemma-decision"]
    client.post("/feedback", cast_to=object, body={"decision_id": decision_id, "score": 0.5, "name": "stars"})
    observed = gateway.get(f"/v1/decisions/{decision_id}")["observations"]
    assert [(o["source"], o["name"], o["score"]) for o in observed] == [("feedback", "stars", 0.5)]


def test_models_lists_auto_aliases_and_variants(gateway: Gateway) -> None:
    client = gateway.client()
    assert [model.id for model in client.models.list()] == ["auto", "small", "quantized", "full", "pruned"]
    assert client.models.retrieve("full").model_extra["trilemma"]["kind"] == "full"


def test_an_unknown_model_is_a_404_that_names_the_known_ones(gateway: Gateway) -> None:
    with pytest.raises(openai.NotFoundError, match="known models: auto, small, quantized, full, pruned") as caught:
        gateway.client().chat.completions.create(model="gpt-99", messages=TOKYO)
    assert caught.value.code == "model_not_found"


def test_a_prompt_over_the_context_is_refused_with_both_numbers(gateway: Gateway) -> None:
    with pytest.raises(openai.BadRequestError, match="8192") as caught:
        gateway.client().chat.completions.create(
            model="quantized", messages=[{"role": "user", "content": "many words " * 6000}]
        )
    assert caught.value.code == "context_length_exceeded"


def test_a_body_over_the_limit_is_413(gateway: Gateway) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        gateway.client().chat.completions.create(
            model="auto", messages=[{"role": "user", "content": "x" * 1_100_000}]
        )
    assert caught.value.status_code == 413


def test_stop_seed_and_n_reach_the_variant(gateway: Gateway) -> None:
    client = gateway.client()
    asked = {"model": "quantized", "messages": TOKYO, "max_tokens": 24, "temperature": 1.0, "n": 2, "seed": 7}
    first, again = (client.chat.completions.create(**asked) for _ in range(2))
    texts = [choice.message.content for choice in first.choices]
    assert texts == [choice.message.content for choice in again.choices]
    assert texts[0] != texts[1]
    stopped = client.chat.completions.create(
        model="quantized", messages=TOKYO, max_tokens=24, temperature=0, stop=["Tokyo"]
    )
    assert stopped.choices[0].message.content == "The capital of Japan is "
    assert stopped.choices[0].finish_reason == "stop"


def test_a_cold_variant_is_started_by_its_first_request(gateway: Gateway) -> None:
    answer = gateway.client().chat.completions.create(model="pruned", messages=TOKYO, max_tokens=4)
    assert answer.model == "pruned"
    assert gateway.state("pruned") == "warm"


def test_no_variant_embeds_and_the_error_says_so(gateway: Gateway) -> None:
    with pytest.raises(openai.BadRequestError, match="can embed"):
        gateway.client().embeddings.create(model="auto", input="hello")
