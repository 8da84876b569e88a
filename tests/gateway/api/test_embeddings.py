"""`/v1/embeddings`, and what an embedder must never be asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backends.types import VariantStatus, WorkerState
from gateway.api.embeddings import _embedder
from gateway.errors import ForbiddenError
from gateway.tenants.types import Tenant
from tests.gateways import HELLO, PER_TOKEN, Fleet, local, opened, remote, running
from tests.providers import Answer, ScriptedProvider, completion_body

PATH = "/v1/embeddings"
CHAT = "/v1/chat/completions"
TEXT = Answer(body=completion_body("Paris"))
VECTORS = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": "AACAPwAAAAA="}],
    "model": "theirs",
    "usage": {"prompt_tokens": 1000, "total_tokens": 1000},
}
VECTOR = Answer(body=json.dumps(VECTORS).encode())


def embedder(provider: ScriptedProvider, **fields: Any) -> dict[str, Any]:
    return remote("embedder", provider, **({"capabilities": ["embeddings"], "quality": 1.0} | fields))


def failing(status: int, **error: Any) -> Answer:
    return Answer(status=status, body=json.dumps({"error": error}).encode())


async def test_the_official_client_gets_numbers_from_what_is_base64_on_the_wire(tmp_path: Path) -> None:
    async with ScriptedProvider(VECTOR) as provider, running(tmp_path, embedder(provider)) as gateway:
        answer = await gateway.client.embeddings.create(model="embedder", input=["hello"])
        assert answer.data[0].embedding == [1.0, 0.0]
        assert (answer.model, answer.usage.prompt_tokens) == ("embedder", 1000)
        assert json.loads(provider.requests[0].body)["encoding_format"] == "base64"


async def test_what_was_read_is_what_is_charged(tmp_path: Path) -> None:
    async with ScriptedProvider(VECTOR) as provider, running(tmp_path, embedder(provider)) as gateway:
        response, _ = await gateway.post(PATH, {"input": "hello"})
        assert response.headers["x-trilemma-cost-usd"] == f"{PER_TOKEN['prompt_per_mtok_usd'] / 1000:.9f}"


async def test_an_embedder_is_no_candidate_for_an_answer_however_good_it_looks(tmp_path: Path) -> None:
    async with ScriptedProvider(TEXT) as good, ScriptedProvider(VECTOR) as vectors:
        variants = embedder(vectors), remote("chatty", good, quality=0.1)
        async with running(tmp_path, *variants, aliases={"both": ["embedder", "chatty"]}) as gateway:
            for model in ("auto", "both"):
                response, body = await gateway.post(CHAT, HELLO | {"model": model}, X_Trilemma_Explain="1")
                assert response.headers["x-trilemma-variant"] == "chatty"
                assert [entry["variant"] for entry in body["trilemma"]["candidates"]] == ["chatty"]
            record = await gateway.record(response.headers["x-trilemma-decision"])
            assert set(record["decision"]["propensities"]) == {"chatty"}
        assert vectors.requests == []


async def test_an_embedder_that_is_asked_to_talk_says_where_texts_go(tmp_path: Path) -> None:
    async with ScriptedProvider(TEXT) as provider, running(tmp_path, embedder(provider)) as gateway:
        for model in ("embedder", "auto"):
            response, body = await gateway.post(CHAT, HELLO | {"model": model})
            assert (response.status, body["error"]["param"]) == (400, "model")
            assert "/v1/embeddings" in body["error"]["message"]
        assert provider.requests == []


async def test_an_embedder_alone_does_not_make_a_gateway_ready(tmp_path: Path) -> None:
    states = {
        "near": VariantStatus(name="near", state=WorkerState.BUILDING),
        "e": VariantStatus(name="e", state=WorkerState.WARM, socket_path=str(tmp_path / "e.sock")),
    }
    async with running(
        tmp_path, local("near"), local("e", capabilities=["embeddings"]), fleet=Fleet(states)
    ) as gateway:
        assert (await gateway.get("/readyz"))[0].status == 503


async def test_a_cold_embedder_is_started_for_who_asks_it(tmp_path: Path) -> None:
    socket_path = tmp_path / "e.sock"
    warm = VariantStatus(name="e", state=WorkerState.WARM, socket_path=str(socket_path))
    fleet = Fleet({"e": VariantStatus(name="e", state=WorkerState.COLD)}, starts={"e": warm})
    async with (
        ScriptedProvider(VECTOR, socket_path=socket_path),
        running(tmp_path, local("e", capabilities=["embeddings"]), fleet=fleet) as gateway,
    ):
        response, _ = await gateway.post(PATH, {"input": "hello"})
        assert (response.status, fleet.asked) == (200, ["e"])


@pytest.mark.parametrize(("answer", "error_type"), [(VECTOR, None), (Answer(refuses="reset"), "connection_lost")])
async def test_asking_for_vectors_is_an_attempt_that_the_server_s_own_trace_hangs_on(
    tmp_path: Path, answer: Answer, error_type: str | None
) -> None:
    async with ScriptedProvider(answer) as provider:
        async with running(tmp_path, embedder(provider), telemetry={"traces": {"sample": 1.0}}) as gateway:
            response, _ = await gateway.post(PATH, {"input": "hello"})
            await gateway.reported()
            _, trace = await gateway.get(f"/admin/v1/traces/{response.headers['x-request-id']}")
        spans = {span["name"]: span for span in trace["spans"]}
        attempt = spans["attempt"]
        assert attempt["attributes"]["trilemma.variant"] == "embedder"
        assert attempt["attributes"].get("error.type") == error_type
        assert spans["embed"]["parent_id"] == spans["load"]["parent_id"] == attempt["span_id"]
        if error_type is None:
            assert attempt["attributes"]["gen_ai.usage.input_tokens"] == 1000
            assert provider.requests[0].headers["traceparent"].split("-")[2] == attempt["span_id"]


async def test_no_other_model_takes_over_from_one_that_fails(tmp_path: Path) -> None:
    async with ScriptedProvider(Answer(refuses="reset")) as broken, ScriptedProvider(VECTOR) as well:
        other = remote("other", well, capabilities=["embeddings"])
        async with running(tmp_path, embedder(broken), other) as gateway:
            response, body = await gateway.post(PATH, {"input": "hello"})
            assert (response.status, body["error"]["code"]) == (502, "connection_lost")
        assert well.requests == []


@pytest.mark.parametrize(
    ("failure", "status", "param", "code"),
    [
        (failing(400, message="too long", code="context_length_exceeded"), 400, "input", "context_length_exceeded"),
        (failing(429, message="slow down"), 429, None, "upstream_rate_limited"),
        (failing(503, message="busy"), 503, None, "upstream_overloaded"),
        (Answer(body=b"[]"), 502, None, "upstream_protocol"),
    ],
)
async def test_a_failure_says_whose_it_was(
    tmp_path: Path, failure: Answer, status: int, param: str | None, code: str
) -> None:
    async with ScriptedProvider(failure) as provider, running(tmp_path, embedder(provider)) as gateway:
        response, body = await gateway.post(PATH, {"input": "hello"})
        assert (response.status, body["error"]["param"], body["error"]["code"]) == (status, param, code)


@pytest.mark.parametrize("usage", [{}, None, {"prompt_tokens": "many"}, 7])
async def test_a_server_that_counts_nothing_readable_is_passed_on(tmp_path: Path, usage: Any) -> None:
    answer = Answer(body=json.dumps(VECTORS | {"usage": usage}).encode())
    async with ScriptedProvider(answer) as provider, running(tmp_path, embedder(provider)) as gateway:
        response, body = await gateway.post(PATH, {"input": "hello"})
        assert (response.status, body["usage"]) == (200, usage)


async def test_a_tenant_embeds_with_its_own_variants_only(tmp_path: Path) -> None:
    async with ScriptedProvider(VECTOR) as provider:
        variants = embedder(provider), remote("second", provider, capabilities=["embeddings"])
        async with opened(tmp_path, *variants) as services:
            assert _embedder(services, "auto", Tenant(id="a")) == "embedder"
            assert _embedder(services, "auto", Tenant(id="a", variants=("second",))) == "second"
            with pytest.raises(ForbiddenError, match="may not use embedder"):
                _embedder(services, "embedder", Tenant(id="a", variants=("second",)))
