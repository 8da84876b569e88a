"""`/metrics` tells what the catalogue lists, nothing else, and of every request that ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from gateway.metrics.catalogue import FAMILIES
from gateway.metrics.registry import MAX_CHILDREN, OTHER, Metered
from gateway.tenants.types import Role, Tenant
from tests.gateways import HELLO, RunningGateway, behind
from tests.providers import Answer, chat_events, completion_body
from tests.tenancy import bearer, with_tenant

CHAT = "/v1/chat/completions"
OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
PARIS = Answer(body=completion_body("Paris"))
BROKEN = Answer(status=500, body=b'{"error": {"message": "no"}}')


async def scraped(gateway: RunningGateway, **headers: str) -> dict[str, Metric]:
    await gateway.reported()
    async with gateway.session.get(f"{gateway.url}/metrics", headers=OPEN_METRICS | headers) as response:
        assert response.status == 200
        return {family.name: family for family in text_string_to_metric_families(await response.text())}


def samples(families: dict[str, Metric], name: str, **labels: str) -> Iterator[Sample]:
    for family in families.values():
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                yield sample


def value(families: dict[str, Metric], name: str, **labels: str) -> float:
    return sum(sample.value for sample in samples(families, name, **labels))


async def test_every_metric_is_listed_and_every_listed_one_is_told(tmp_path: Path) -> None:
    sla: dict[str, Any] = {"availability": 0.99, "latency_p95_s": 1.0}
    tenants = [{"id": "law", "sla": sla}]
    async with behind(tmp_path, PARIS, tenants=tenants) as (gateway, _):
        key = bearer((await with_tenant(gateway, "ops", role=Role.ADMIN)).text)
        await gateway.post(CHAT, HELLO, **key)
        await gateway.services.promise_gauges.refresh()
        told = await scraped(gateway, **key)
    listed = {family.name.removesuffix("_total") for family in FAMILIES}
    assert {name for name in told if not name.startswith(("process_", "python_"))} == listed
    texts = {family.name.removesuffix("_total"): family.text for family in FAMILIES}
    assert {name: told[name].documentation for name in texts} == texts
    assert all(sample.labels["process"] == "api-1" for family in told.values() for sample in family.samples)


async def test_requests_attempts_tokens_and_cost_are_counted_as_they_were(tmp_path: Path) -> None:
    async with behind(tmp_path, BROKEN, PARIS, telemetry={"traces": {"sample": 0.0}}) as (gateway, _):
        for _ in range(2):
            await gateway.post(CHAT, HELLO)
        await gateway.post(CHAT, {"messages": 7})
        told = await scraped(gateway)
    assert value(told, "trilemma_requests_total", tenant="default", variant="v1", ending="done") == 2
    assert value(told, "trilemma_attempts_total", variant="v0") >= 1
    assert value(told, "trilemma_attempts_total", variant="v0", error_type="") == 0, "all of them failed"
    assert value(told, "trilemma_attempts_total", variant="v1") == 2
    gen_ai = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "openai"}
    for variant in ("v0", "v1"):
        labels = gen_ai | {"gen_ai_request_model": variant}
        asked = value(told, "gen_ai_client_operation_duration_seconds_count", **labels)
        assert asked == value(told, "trilemma_attempts_total", variant=variant)
    assert value(told, "gen_ai_server_request_duration_seconds_count", **gen_ai) == 2
    assert value(told, "trilemma_tokens_total", kind="completion") == 10
    assert value(told, "trilemma_http_requests_total", route=CHAT, status="400") == 1
    assert value(told, "trilemma_request_duration_seconds_count") == 2
    assert 0 < value(told, "trilemma_overhead_seconds_sum") < value(told, "trilemma_request_duration_seconds_sum")
    assert value(told, "trilemma_decisions_total") == 2
    assert value(told, "trilemma_traces_total", kept="escalated") >= 1


async def test_a_streamed_answer_tells_its_first_token_and_its_pace(tmp_path: Path) -> None:
    async with behind(tmp_path, Answer(events=chat_events("Par", "is"))) as (gateway, _):
        await gateway.stream(CHAT, HELLO)
        told = await scraped(gateway)
    for name in ("trilemma_time_to_first_token_seconds", "gen_ai_server_time_to_first_token_seconds"):
        assert value(told, f"{name}_count") == 1
    assert value(told, "trilemma_stage_duration_seconds_count", stage="generate") == 1


async def test_an_exemplar_leads_to_a_trace_that_was_kept_and_to_no_other(tmp_path: Path) -> None:
    for share, expected in ((1.0, True), (0.0, False)):
        directory = tmp_path / str(share)
        directory.mkdir()
        async with behind(directory, PARIS, telemetry={"traces": {"sample": share}}) as (gateway, _):
            response, _ = await gateway.post(CHAT, HELLO)
            assert response.status == 200
            told = await scraped(gateway)
            found = [
                s.exemplar.labels for s in samples(told, "trilemma_request_duration_seconds_bucket") if s.exemplar
            ]
            await gateway.reported()
        assert bool(found) is expected
        assert gateway.services.tracing.traces.stats.written == len(found)


async def test_what_a_tenant_brought_about_itself_breaks_no_promise(tmp_path: Path) -> None:
    promised: dict[str, Any] = {"sla": {"availability": 0.99}, "quotas": {"requests_per_min": 2}}
    async with behind(tmp_path, PARIS, tenants=[{"id": "unused"}]) as (gateway, (provider,)):
        operator = bearer((await with_tenant(gateway, "ops", role=Role.ADMIN)).text)
        tenant = msgspec.convert({"id": "law"} | promised, Tenant)
        fields = {name: getattr(tenant, name) for name in promised}
        key = bearer((await with_tenant(gateway, "law", **fields)).text)
        provider.script[:] = [PARIS, BROKEN]
        uncached = HELLO | {"cache": {"mode": "no-store"}}
        statuses = [(await gateway.post(CHAT, uncached, **key))[0].status for _ in range(4)]
        assert (statuses[0], statuses[2:]) == (200, [429, 429])
        assert statuses[1] >= 500
        told = await scraped(gateway, **operator)
    assert value(told, "trilemma_sla_requests_total", tenant="law", promise="availability") == 2
    assert value(told, "trilemma_sla_broken_total", tenant="law", promise="availability") == 1


async def test_with_tenants_the_metrics_are_for_operators(tmp_path: Path) -> None:
    async with behind(tmp_path, PARIS) as (gateway, _):
        caller = await with_tenant(gateway, "law", role=Role.CALLER)
        operator = await with_tenant(gateway, "ops", role=Role.OPERATOR)
        for key, status in (({}, 401), (bearer(caller.text), 403), (bearer(operator.text), 200)):
            async with gateway.session.get(f"{gateway.url}/metrics", headers=key) as response:
                assert response.status == status


def test_more_label_sets_than_may_be_are_counted_together() -> None:
    registry = CollectorRegistry()
    metered = Metered(frozenset({"trilemma_cost_usd_total"}), registry)
    for number in range(MAX_CHILDREN + 50):
        metered.of("trilemma_cost_usd_total", f"t{number}", "v").inc()
    [family] = registry.collect()
    told = [sample for sample in family.samples if sample.name.endswith("_total")]
    assert len(told) == MAX_CHILDREN + 1
    assert [s.value for s in told if s.labels["tenant"] == OTHER] == [50.0]
