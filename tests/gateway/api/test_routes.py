from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from backends.types import VariantStatus, WorkerState
from tests.gateways import HELLO, Fleet, local, remote, running
from tests.providers import Answer, ScriptedProvider, completion_body

CHAT = "/v1/chat/completions"
GOOD = Answer(body=completion_body("Paris"))


async def test_models_lists_auto_aliases_and_variants(tmp_path: Path) -> None:
    async with ScriptedProvider(GOOD) as provider:
        variants = remote("far", provider), local("near")
        async with running(tmp_path, *variants, aliases={"org/any": ["near", "far"]}) as gateway:
            listed = [model async for model in gateway.client.models.list()]
            assert [model.id for model in listed] == ["auto", "org/any", "far", "near"]
            assert {(model.object, model.owned_by) for model in listed} == {("model", "trilemma")}
            near = (await gateway.client.models.retrieve("near")).model_extra
            assert near is not None
            assert (near["trilemma"]["kind"], near["trilemma"]["state"]) == ("quantized", "missing")
            any_ = (await gateway.client.models.retrieve("org/any")).model_extra
            assert any_ == {"trilemma": {"kind": "alias", "variants": ["far", "near"]}}
            response, body = await gateway.get("/v1/models/none")
            assert (response.status, body["error"]["code"]) == (404, "model_not_found")


async def test_ready_means_that_a_variant_can_answer(tmp_path: Path) -> None:
    fleet = Fleet({"near": VariantStatus(name="near", state=WorkerState.BUILDING, progress=0.5, message="fetching")})
    async with running(tmp_path, local("near"), fleet=fleet) as gateway:
        assert (await gateway.get("/livez"))[0].status == 200
        for path in ("/readyz", "/healthz", "/health/readiness"):
            response, body = await gateway.get(path)
            assert (response.status, body["status"]) == (503, "starting")
            assert body["variants"]["near"] == {"state": "building", "progress": 0.5, "message": "fetching"}
        fleet.states["near"] = VariantStatus(name="near", state=WorkerState.COLD)
        await gateway.services.catalogue.refresh()
        response, body = await gateway.get("/readyz")
        assert (response.status, body["status"]) == (200, "ready")
        gateway.services.stopping = True
        response, body = await gateway.get("/readyz")
        assert (response.status, body["status"]) == (503, "stopping")
        assert (await gateway.get("/health/liveliness"))[1] == {"status": "ok"}


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", "/", 404, None),
        ("GET", "/v1/unknown", 404, None),
        ("GET", "/openapi/x", 404, None),
        ("GET", "/v1/chat/completions", 405, "POST"),
        ("DELETE", "/v1/models", 405, "GET"),
    ],
)
async def test_what_is_not_there_is_told_as_an_openai_error(
    tmp_path: Path, method: str, path: str, status: int, allowed: str | None
) -> None:
    async with running(tmp_path, local("near")) as gateway:
        async with gateway.session.request(method, gateway.url + path) as response:
            assert response.status == status
            error = json.loads(await response.read())["error"]
        assert error["type"] == "not_found"
        assert path in error["message"]
        assert (allowed is None) or allowed in response.headers["allow"]


async def test_a_body_over_the_limit_is_413_and_one_below_is_read(tmp_path: Path) -> None:
    async with ScriptedProvider(GOOD) as provider:
        limits = {"max_body_bytes": 4096}
        async with running(tmp_path, remote("a", provider), server=limits) as gateway:
            fits, over = ({"messages": [{"role": "user", "content": "x" * size}]} for size in (3900, 5000))
            assert (await gateway.post(CHAT, fits))[0].status == 200
            response, body = await gateway.post(CHAT, over)
            assert (response.status, body["error"]["type"]) == (413, "payload_too_large")

            async def chunks() -> Any:
                for _ in range(64):
                    yield b" " * 1024

            async with gateway.session.post(gateway.url + CHAT, data=chunks()) as chunked:
                assert chunked.status == 413


async def test_every_answer_has_a_request_id_the_callers_own_where_it_is_fit(tmp_path: Path) -> None:
    async with ScriptedProvider(GOOD) as provider, running(tmp_path, remote("a", provider)) as gateway:
        for path, body in ((CHAT, HELLO), (CHAT, {"bad": 1}), (CHAT, {**HELLO, "model": "none"}), ("/none", {})):
            response, _ = await gateway.post(path, body, X_Request_Id="mine.1")
            assert response.headers.getall("x-request-id") == ["mine.1"]
            response, _ = await gateway.post(path, body, X_Request_Id="not fit; for a log")
            assert re.fullmatch("req_[0-9a-f]{32}", response.headers["x-request-id"])
        first, second = [(await gateway.get("/livez"))[0].headers["x-request-id"] for _ in range(2)]
        assert first != second


async def test_embeddings_go_to_a_variant_that_can_embed(tmp_path: Path) -> None:
    reply = {"object": "list", "data": [{"index": 0, "embedding": [0.5, 1e-7]}], "model": "theirs", "usage": {}}
    async with ScriptedProvider(Answer(body=json.dumps(reply).encode())) as provider:
        able = remote("able", provider, capabilities=["embeddings"], model="org/E")
        async with running(tmp_path, remote("chatty", provider), able) as gateway:
            response, body = await gateway.post("/v1/embeddings", {"input": ["a"], "model": "auto"})
            assert response.headers["x-trilemma-variant"] == "able"
            assert body == {**reply, "model": "able"}
            assert json.loads(provider.requests[0].body) == {"input": ["a"], "model": "org/E"}
            response, body = await gateway.post("/v1/embeddings", {"input": "a", "model": "chatty"})
            assert (response.status, body["error"]["param"]) == (400, "model")
            assert "no variant of `chatty` can embed" in body["error"]["message"]
            assert (await gateway.post("/v1/embeddings", {"input": "a", "model": "none"}))[0].status == 404
            assert (await gateway.post("/v1/embeddings", {"model": "able"}))[1]["error"]["param"] == "input"


async def test_a_failing_embedding_is_an_upstream_error(tmp_path: Path) -> None:
    async with ScriptedProvider(Answer(refuses="reset")) as provider:
        able = remote("able", provider, capabilities=["embeddings"])
        async with running(tmp_path, able) as gateway:
            response, body = await gateway.post("/v1/embeddings", {"input": "a"})
            assert (response.status, body["error"]["code"]) == (502, "connection_lost")


async def test_a_score_joins_the_decision_it_judges(tmp_path: Path) -> None:
    async with ScriptedProvider(GOOD) as provider, running(tmp_path, remote("a", provider)) as gateway:
        decision_id = (await gateway.post(CHAT, {**HELLO, "priority": "cost"}))[0].headers["x-trilemma-decision"]
        score = {"decision_id": decision_id, "score": 0.25, "name": "stars", "comment": "meh"}
        response, joined = await gateway.post("/v1/feedback", score)
        assert (response.status, joined["decision_id"]) == (200, decision_id)
        record = await gateway.record(decision_id)
        assert (record["decision"]["hint"], record["decision"]["pinned"]) == ("cost", False)
        [observed] = record["observations"]
        assert (observed["observation_id"], observed["source"]) == (joined["id"], "feedback")
        assert (observed["name"], observed["score"], observed["comment"]) == ("stars", 0.25, "meh")


async def test_what_was_never_decided_can_be_neither_judged_nor_shown(tmp_path: Path) -> None:
    async with running(tmp_path, local("near")) as gateway:
        response, body = await gateway.post("/v1/feedback", {"decision_id": "dec_0", "score": 1})
        assert (response.status, body["error"]["param"]) == (404, "decision_id")
        assert (await gateway.get("/v1/decisions/dec_0"))[0].status == 404


async def test_the_openapi_document_has_every_route_and_no_dangling_reference(tmp_path: Path) -> None:
    async with running(tmp_path, local("near")) as gateway:
        response, document = await gateway.get("/openapi.json")
        served = {route.path_format for route in gateway.server.app.routes}
    routes = {path for path in served if not path.startswith("/console")}  # Pages are for people.
    assert response.status == 200
    assert document["openapi"].startswith("3.")
    assert set(document["paths"]) == routes - {"/openapi.json"}
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert references == set(document["components"]["schemas"])
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"] for operation in operations)
    chat = document["paths"]["/v1/chat/completions"]["post"]
    assert chat["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ChatBody"}
    assert {"messages", "priority", "slo", "service_tier"} <= set(
        document["components"]["schemas"]["ChatBody"]["properties"]
    )
