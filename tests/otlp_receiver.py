"""A collector on the loopback that understands OTLP over HTTP and over gRPC, by the official protocol buffers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import grpc
from aiohttp import web
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

__all__ = ("Collector", "attributes", "collector")


TOO_LONG_S = 5.0


@dataclass
class Collector:
    """What has arrived."""

    mood: str = "willing"
    endpoint: str = ""
    calls: int = 0
    """How often it was asked to take spans."""
    spans: list[Span] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    resources: list[dict[str, str]] = field(default_factory=list)

    def take(self, request: Any, headers: dict[str, str]) -> None:
        self.headers.append(headers)
        for resource in request.resource_spans:
            self.resources.append({a.key: a.value.string_value for a in resource.resource.attributes})
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)

    def named(self, name: str) -> list[Span]:
        """Spans of this name."""
        return [span for span in self.spans if span.name == name]

    def below(self, parent: Span) -> list[Span]:
        """Spans whose parent it is."""
        return [s for s in self.spans if (s.trace_id, s.parent_span_id) == (parent.trace_id, parent.span_id)]


def attributes(span: Span) -> dict[str, Any]:
    """Of a span, as plain values."""
    return {a.key: getattr(a.value, a.value.WhichOneof("value") or "string_value") for a in span.attributes}


@asynccontextmanager
async def collector(
    protocol: str, *, mood: Literal["willing", "slow", "refusing"] = "willing"
) -> AsyncIterator[Collector]:
    """A collector that speaks `http` or `grpc`, and may take too long for everybody, or take nothing."""
    found = Collector(mood=mood)
    async with (_http if protocol == "http" else _grpc)(found):
        yield found


@asynccontextmanager
async def _http(found: Collector) -> AsyncIterator[None]:
    async def take(request: web.Request) -> web.Response:
        body = trace_service_pb2.ExportTraceServiceRequest.FromString(await request.read())
        found.calls += 1
        if found.mood == "refusing":
            return web.Response(status=403)
        if found.mood == "slow":
            await asyncio.sleep(TOO_LONG_S)
        found.take(body, {name.lower(): value for name, value in request.headers.items()})
        answer = trace_service_pb2.ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=answer, content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _grpc(found: Collector) -> AsyncIterator[None]:
    class Service(trace_service_pb2_grpc.TraceServiceServicer):
        async def Export(self, request: Any, context: Any) -> Any:
            found.calls += 1
            if found.mood == "refusing":
                await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not from you")
            if found.mood == "slow":
                await asyncio.sleep(TOO_LONG_S)
            found.take(request, dict(context.invocation_metadata()))
            return trace_service_pb2.ExportTraceServiceResponse()

    server = grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    found.endpoint = f"http://127.0.0.1:{port}"
    try:
        yield
    finally:
        await server.stop(0)
        await asyncio.sleep(0)
