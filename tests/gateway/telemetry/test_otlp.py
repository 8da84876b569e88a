"""What a collector receives: a span for the request, one below it for each attempt, and the stages."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from backends.types import VariantStatus, WorkerState
from gateway.telemetry.names import ATTRIBUTES, SPANS
from gateway.telemetry.otlp import Otlp
from gateway.telemetry.stages import STAGES
from tests.gateways import HELLO, Fleet, RunningGateway, behind, local, running, until
from tests.otlp_receiver import attributes, collector
from tests.providers import Answer, ScriptedProvider, chat_events, completion_body

CHAT = "/v1/chat/completions"
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "vendor=x"}
PARIS = Answer(body=completion_body("Paris"))
BROKEN = Answer(status=500, body=b'{"error": {"message": "no"}}')


def told(endpoint: str, protocol: str, **traces: Any) -> dict[str, Any]:
    """The section of the configuration."""
    return {"otlp": {"endpoint": endpoint, "protocol": protocol}, "traces": {"sample": 0.0} | traces}


@pytest.mark.parametrize("protocol", ["http", "grpc"])
async def test_the_callers_span_is_the_parent_and_attempts_are_below_the_request(
    tmp_path: Path, protocol: str
) -> None:
    async with collector(protocol) as seen:
        telemetry = told(seen.endpoint, protocol)
        async with behind(tmp_path, BROKEN, PARIS, telemetry=telemetry) as (gateway, providers):
            response, _ = await gateway.post(CHAT, HELLO, **PARENT)
            assert response.status == 200
        [root] = seen.named("chat auto")
        assert (root.trace_id.hex(), root.parent_span_id.hex()) == (TRACE, CALLER)
        assert root.kind == root.SPAN_KIND_SERVER
        first, second = seen.named("attempt v0"), seen.named("attempt v1")
        assert {span.span_id for span in (*first, *second)} < {span.span_id for span in seen.below(root)}
        assert first[0].status.code == first[0].status.STATUS_CODE_ERROR
        for provider, [attempt] in zip(providers, (first, second), strict=True):
            assert provider.requests[0].headers["traceparent"] == f"00-{TRACE}-{attempt.span_id.hex()}-01"
            assert provider.requests[0].headers["tracestate"] == "vendor=x"
            assert {span.name for span in seen.below(attempt)} >= {"upstream"}
        assert {span.name for span in seen.below(root)} >= {"auth", "body", "parse", "limits", "queue", "decide"}
        assert all(resource["service.name"] == "trilemma" for resource in seen.resources)


async def test_every_span_lies_inside_its_parent_and_is_listed_with_its_attributes(
    tmp_path: Path,
) -> None:
    async with collector("http") as seen:
        telemetry = told(seen.endpoint, "http", sample=1.0)
        answers = (BROKEN, Answer(events=chat_events("Par", "is")))
        async with behind(tmp_path, *answers, telemetry=telemetry) as (gateway, _):
            await gateway.stream(CHAT, HELLO | {"temperature": 0})
        spans = {span.span_id: span for span in seen.spans}
        for span in seen.spans:
            if parent := spans.get(span.parent_span_id):
                assert parent.start_time_unix_nano <= span.start_time_unix_nano + 1000
                assert span.end_time_unix_nano <= parent.end_time_unix_nano + 1000
            assert span.name.split()[0] in {*STAGES, *SPANS, "chat"}
            assert set(attributes(span)) <= set(ATTRIBUTES)


async def test_the_request_says_what_was_decided_and_why(tmp_path: Path) -> None:
    async with collector("http") as seen:
        telemetry = told(seen.endpoint, "http", sample=1.0)
        async with behind(tmp_path, PARIS, PARIS, telemetry=telemetry) as (gateway, _):
            response, _ = await gateway.post(CHAT, HELLO | {"temperature": 0.5}, X_Priority="accuracy")
            policy = response.headers["X-Trilemma-Policy"]
        [root] = seen.named("chat auto")
        found = attributes(root)
        candidates = json.loads(found["trilemma.candidates"])
        assert [candidate["variant"] for candidate in candidates] == ["v0", "v1"]
        assert sum(candidate["propensity"] for candidate in candidates) == pytest.approx(1.0)
        assert (found["trilemma.policy"], found["trilemma.variant"]) == (policy, "v0")
        assert (found["gen_ai.operation.name"], found["gen_ai.request.model"]) == ("chat", "auto")
        assert (found["gen_ai.usage.input_tokens"], found["gen_ai.request.temperature"]) == (3, 0.5)
        assert found["trilemma.hint"] == "accuracy"
        assert "gen_ai.input.messages" not in found, "no tenant has allowed it"


async def test_a_request_that_was_refused_before_it_could_be_read_is_told_too(tmp_path: Path) -> None:
    async with collector("http") as seen:
        telemetry = told(seen.endpoint, "http", sample=1.0)
        async with behind(tmp_path, PARIS, telemetry=telemetry) as (gateway, _):
            response, _ = await gateway.post(CHAT, {"messages": "wrong"})
            assert response.status == 400
        [root] = seen.named(f"POST {CHAT}")
        assert attributes(root)["http.response.status_code"] == 400


async def burdened(gateway: RunningGateway) -> Otlp:
    """Its way to the collector, after more requests than may wait there; all of them were answered."""
    for _ in range(30):
        response, _ = await gateway.post(CHAT, HELLO)
        assert response.status == 200
    assert gateway.services.tracing.otlp is not None
    return gateway.services.tracing.otlp


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("trouble", ["down", "silent"])
async def test_a_collector_in_trouble_costs_no_request_anything(tmp_path: Path, protocol: str, trouble: str) -> None:
    silent = socket.create_server(("127.0.0.1", 0))  # Connections are taken by the system and never read.
    port = silent.getsockname()[1]
    if trouble == "down":
        silent.close()
    telemetry = told(f"http://127.0.0.1:{port}", protocol, sample=1.0)
    telemetry["otlp"] |= {"timeout_s": 0.5, "max_queue": 20}
    async with asyncio.timeout(15), behind(tmp_path, PARIS, telemetry=telemetry) as (gateway, _):
        otlp = await burdened(gateway)
        await until(lambda: otlp.stats.offered > 20)
        assert otlp.stats.sent == 0
    silent.close()


async def test_what_a_worker_told_of_its_time_is_part_of_the_attempt_and_kept_from_the_caller(tmp_path: Path) -> None:
    body = json.loads(completion_body("Paris")) | {"timings": {"queue_s": 0.01, "prefill_s": 0.02, "decode_s": 0.03}}
    timed = Answer(body=json.dumps(body).encode(), first_after_s=0.1)
    async with collector("http") as seen:
        async with behind(tmp_path, timed, telemetry=told(seen.endpoint, "http", sample=1.0)) as (gateway, _):
            _, answer = await gateway.post(CHAT, HELLO)
            assert "timings" not in answer
        [attempt] = seen.named("attempt v0")
        found = {s.name: (s.end_time_unix_nano - s.start_time_unix_nano) / 1e9 for s in seen.below(attempt)}
        assert found["worker.queue"] == pytest.approx(0.01, abs=1e-5)
        assert found["worker.prefill"] == pytest.approx(0.02, abs=1e-5)
        assert found["worker.decode"] == pytest.approx(0.03, abs=1e-5)


async def test_timings_of_another_kind_are_left_aside(tmp_path: Path) -> None:
    body = json.loads(completion_body("Paris")) | {"timings": {"prompt_ms": "12", "queue_s": "soon"}}
    async with behind(tmp_path, Answer(body=json.dumps(body).encode())) as (gateway, _):
        response, answer = await gateway.post(CHAT, HELLO)
        assert (response.status, "timings" in answer) == (200, False)


async def test_a_start_that_a_request_waited_for_is_part_of_its_attempt(tmp_path: Path) -> None:
    socket_path = tmp_path / "v.sock"
    async with collector("http") as seen, ScriptedProvider(PARIS, socket_path=socket_path):
        warm = VariantStatus(name="v", state=WorkerState.WARM, socket_path=str(socket_path), started_in_s=0.5)
        fleet = Fleet({"v": VariantStatus(name="v", state=WorkerState.COLD)}, starts={"v": warm})
        telemetry = told(seen.endpoint, "http", sample=1.0)
        async with running(tmp_path, local("v"), fleet=fleet, telemetry=telemetry) as gateway:
            response, _ = await gateway.post(CHAT, HELLO)
            assert response.status == 200
        [attempt] = seen.named("attempt v")
        assert {"load", "worker.load"} <= {span.name for span in seen.below(attempt)}


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("mood", ["slow", "refusing"])
async def test_a_collector_that_takes_nothing_in_time_is_asked_and_holds_nobody_up(
    tmp_path: Path, protocol: str, mood: Any
) -> None:
    async with collector(protocol, mood=mood) as seen:
        telemetry = told(seen.endpoint, protocol, sample=1.0)
        telemetry["otlp"] |= {"timeout_s": 0.5, "max_queue": 20}
        async with asyncio.timeout(15), behind(tmp_path, PARIS, telemetry=telemetry) as (gateway, _):
            otlp = await burdened(gateway)
            await until(lambda: seen.calls > 0 and otlp.stats.failed > 0, within_s=8)
            assert otlp.stats.sent == 0
