from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.gateways import HELLO, local, remote, running
from tests.providers import Answer, ScriptedProvider, completion_body

CHAT = "/v1/chat/completions"
PARIS = Answer(body=completion_body("Paris"))
TEXT = json.dumps(
    {
        "id": "x",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "text": " is", "finish_reason": "length"}],
    }
).encode()


async def test_a_whole_answer_says_who_gave_it_why_and_at_what_cost(tmp_path: Path) -> None:
    async with ScriptedProvider(PARIS) as provider, running(tmp_path, remote("small", provider)) as gateway:
        raw = await gateway.client.chat.completions.with_raw_response.create(model="auto", messages=HELLO["messages"])
        answer = raw.parse()
        assert answer.choices[0].message.content == "Paris"
        assert (answer.model, answer.id) == ("small", raw.headers["x-request-id"])
        assert answer.usage is not None
        assert answer.usage.total_tokens == 8
        assert raw.headers["x-trilemma-variant"] == "small"
        assert raw.headers["x-trilemma-cost-usd"] == "0.000013000"
        assert raw.headers["x-trilemma-attempts"] == "1"
        assert raw.headers["x-trilemma-cache"] == "bypass"
        assert re.fullmatch("[0-9a-f]{12}", raw.headers["x-trilemma-policy"])
        order = ("terms", "limits", "cache", "queue", "features", "decide", "reserve", "load", "upstream")
        pattern = ", ".join(rf"{stage};dur=[\d.]+" for stage in order)
        stages = re.fullmatch(pattern, raw.headers["server-timing"])
        assert stages is not None
        assert "trilemma" not in (answer.model_extra or {})
        record = await gateway.record(raw.headers["x-trilemma-decision"])
        outcome, decision = record["outcome"], record["decision"]
        assert (outcome["ending"], outcome["variant"], outcome["finish_reason"]) == ("done", "small", "stop")
        assert (outcome["prompt_tokens"], outcome["completion_tokens"]) == (3, 5)
        assert outcome["cost_usd"] == pytest.approx(13e-6)
        assert decision["request_id"] == answer.id
        assert decision["propensities"] == {"small": 1.0}


async def test_the_explanation_comes_only_on_request(tmp_path: Path) -> None:
    async with ScriptedProvider(PARIS) as provider:
        better, worse = remote("better", provider, quality=0.9), remote("worse", provider, quality=0.1)
        async with running(tmp_path, worse, better) as gateway:
            response, body = await gateway.post(CHAT, {**HELLO, "priority": "accuracy"}, X_Trilemma_Explain="1")
            about = body["trilemma"]
            assert about["decision"] == response.headers["x-trilemma-decision"]
            assert about["variant"] == "better"
            assert [(c["variant"], c["propensity"]) for c in about["candidates"]] == [("worse", 0.0), ("better", 1.0)]
            assert about["candidates"][1]["quality"] == 0.9
            assert [attempt["variant"] for attempt in about["attempts"]] == ["better"]
            assert set(about["stages"]) >= {"features", "decide", "load", "upstream"}
            assert "trilemma" not in (await gateway.post(CHAT, HELLO, X_Trilemma_Explain="0"))[1]


async def test_the_variant_gets_openais_fields_its_own_name_and_its_own_sampling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALL_KEY", "sk-1")
    async with ScriptedProvider(PARIS) as provider:
        small = remote("small", provider, model="org/Small", api_key="env:SMALL_KEY", decoding={"temperature": 0.2})
        async with running(tmp_path, small) as gateway:
            hints = {"priority": "cost", "slo": {"latency_s": 9}, "metadata": {"a": "b"}, "service_tier": "flex"}
            await gateway.post(CHAT, {**HELLO, **hints, "seed": 3})
            await gateway.post(CHAT, {**HELLO, "temperature": 0})
        first, second = (json.loads(request.body) for request in provider.requests)
        assert first == {**HELLO, "model": "org/Small", "seed": 3, "temperature": 0.2}
        assert second["temperature"] == 0
        assert provider.requests[0].headers["Authorization"] == "Bearer sk-1"


async def test_a_variant_whose_key_is_not_set_is_passed_over(tmp_path: Path) -> None:
    async with ScriptedProvider(PARIS) as provider:
        keyed = remote("keyed", provider, quality=0.9, api_key="env:NO_SUCH_KEY")
        async with running(tmp_path, keyed, remote("open", provider)) as gateway:
            assert (await gateway.post(CHAT, {**HELLO, "priority": "accuracy"}))[1]["model"] == "open"
            response, body = await gateway.post(CHAT, {**HELLO, "model": "keyed"})
            assert response.status == 502
            assert "NO_SUCH_KEY" in body["error"]["message"]


async def test_model_and_hints_choose_among_the_variants(tmp_path: Path) -> None:
    async with ScriptedProvider(PARIS) as provider:
        variants = [
            remote("good", provider, quality=0.9, ttft_s=2.0),
            remote("quick", provider, quality=0.85, ttft_s=0.1),
            remote("poor", provider, quality=0.1, ttft_s=0.2),
        ]
        async with running(tmp_path, *variants, aliases={"fallback/any": ["poor", "quick"]}) as gateway:

            async def chosen(**fields: object) -> str:
                response, body = await gateway.post(CHAT, {**HELLO, **fields})
                assert response.status == 200, body
                return str(response.headers["x-trilemma-variant"])

            assert await chosen(priority="accuracy") == "good"
            assert await chosen(priority="speed") == "quick"
            assert await chosen(priority={"accuracy": 1}) == "good"
            assert await chosen(priority="accuracy", slo={"ttft_s": 1}) == "quick"
            assert await chosen(priority="accuracy", model="fallback/any") == "quick"
            assert await chosen(priority="accuracy", model="poor") == "poor"
            assert await chosen(priority="speed", slo={"min_quality": 0.88}) == "good"


async def test_limits_nobody_keeps_are_broken_least_and_the_answer_says_so(tmp_path: Path) -> None:
    async with ScriptedProvider(PARIS) as provider, running(tmp_path, remote("only", provider)) as gateway:
        _, body = await gateway.post(CHAT, {**HELLO, "slo": {"ttft_s": 1e-6}}, X_Trilemma_Explain="1")
        assert body["trilemma"]["violated"] == "ttft"


async def test_a_text_completion_is_routed_like_a_chat(tmp_path: Path) -> None:
    async with ScriptedProvider(Answer(body=TEXT)) as provider, running(tmp_path, remote("a", provider)) as gateway:
        answer = await gateway.client.completions.create(model="a", prompt="Paris")
        assert answer.choices[0].text == " is"
        assert answer.model == "a"
        assert provider.requests[0].path == "/v1/completions"


async def test_fields_that_only_the_variant_knows_are_passed_on(tmp_path: Path) -> None:
    reply = json.loads(completion_body("x")) | {"service": {"queue": 3}}
    provider_answer = Answer(body=json.dumps(reply).encode())
    async with ScriptedProvider(provider_answer) as provider, running(tmp_path, remote("a", provider)) as gateway:
        assert (await gateway.post(CHAT, HELLO))[1]["service"] == {"queue": 3}


@pytest.mark.parametrize(
    ("fields", "status", "code", "words"),
    [
        ({"model": "gpt-99"}, 404, "model_not_found", "known models: auto, pair, a, b"),
        ({"max_tokens": 9000}, 400, "context_length_exceeded", "at least 9001 tokens, its context has 8192"),
        ({"model": "pair", "tools": [{}]}, 400, "unsupported", "no variant of `pair` can do tools"),
        ({"model": "down"}, 404, "model_not_found", "`down`"),
    ],
)
async def test_a_request_nobody_can_serve_is_refused_with_the_reason(
    tmp_path: Path, fields: dict[str, object], status: int, code: str, words: str
) -> None:
    async with ScriptedProvider(PARIS) as provider:
        a, b = (remote(name, provider, capabilities=[]) for name in "ab")
        async with running(tmp_path, a, b, aliases={"pair": ["a", "b"]}) as gateway:
            response, body = await gateway.post(CHAT, {**HELLO, **fields})
            assert (response.status, body["error"]["code"]) == (status, code)
            assert words in body["error"]["message"]
            decided = response.headers.get("x-trilemma-decision")
            if code == "model_not_found":
                assert decided is None
            else:
                assert (await gateway.record(str(decided)))["outcome"]["ending"] == "failed"
            assert provider.requests == []


async def test_a_variant_that_is_not_built_yet_is_a_503_with_retry_after(tmp_path: Path) -> None:
    async with running(tmp_path, local("a")) as gateway:
        response, body = await gateway.post(CHAT, HELLO)
        assert (response.status, body["error"]["type"]) == (503, "overloaded")
        assert response.headers["retry-after"] == "2"


async def test_a_remote_server_is_told_the_variants_own_decoding_where_the_caller_said_nothing(
    tmp_path: Path,
) -> None:
    own = {"temperature": 0.0, "top_p": 0.9, "max_tokens": 64}
    async with ScriptedProvider(PARIS) as provider, running(tmp_path, remote("r", provider, decoding=own)) as gateway:
        await gateway.post(CHAT, {"messages": HELLO["messages"]})
        await gateway.post(CHAT, {"messages": HELLO["messages"], "temperature": 0.7, "max_completion_tokens": 8})
        silent, outspoken = (json.loads(request.body) for request in provider.requests[-2:])
    assert {name: silent.get(name) for name in own} == own
    assert outspoken["temperature"] == 0.7
    assert outspoken["top_p"] == 0.9
    assert outspoken["max_completion_tokens"] == 8
    assert "max_tokens" not in outspoken
