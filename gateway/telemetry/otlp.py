"""Sends kept traces to a collector, by OpenTelemetry's own exporters.

A collector that is down, slow or refusing costs no request anything: spans wait in a bounded queue for a thread to
send them, and what does not fit is dropped.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from gateway.environment import from_environment
from gateway.telemetry import names
from gateway.telemetry.settings import OtlpSettings
from gateway.telemetry.timeline import Timeline
from gateway.traces.types import KeptSpan

__all__ = ("Otlp", "OtlpStats", "open_otlp")

SAMPLED = TraceFlags(TraceFlags.SAMPLED)
MAX_BATCH = 512
LAST_WORDS_S = 2.0
"""Longest wait for the last batch when the process stops."""


class OtlpStats(msgspec.Struct, frozen=True, kw_only=True):
    """How sending is doing."""

    offered: int
    """Spans handed over."""
    sent: int
    failed: int
    """Spans that the collector did not take."""

    @property
    def dropped_or_waiting(self) -> int:
        """Spans that were neither sent nor refused: they wait, or the queue had no room for them."""
        return self.offered - self.sent - self.failed


class _Counted(SpanExporter):
    """Counts what becomes of the spans; called on the processor's own thread."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.sent = self.failed = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self.sent += len(spans)
        else:
            self.failed += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class Otlp:
    """One process's way to the collector."""

    def __init__(self, exporter: SpanExporter, *, service_name: str, max_queue: int) -> None:
        self._counted = _Counted(exporter)
        self._resource = Resource.create({SERVICE_NAME: service_name})
        self._scope = InstrumentationScope("trilemma")
        self._offered = 0
        self._processor: SpanProcessor = BatchSpanProcessor(
            self._counted, max_queue_size=max_queue, max_export_batch_size=min(MAX_BATCH, max_queue)
        )

    @property
    def stats(self) -> OtlpStats:
        """How sending is doing."""
        return OtlpStats(offered=self._offered, sent=self._counted.sent, failed=self._counted.failed)

    def send(self, timeline: Timeline, spans: Sequence[KeptSpan]) -> None:
        """Hand a trace over; returns at once."""
        for span in spans:
            self._processor.on_end(self._readable(timeline, span))
        self._offered += len(spans)

    def close(self) -> None:
        """Send what is left, for a short while; blocks."""
        closing = threading.Thread(target=self._processor.shutdown, daemon=True, name="otlp-shutdown")
        closing.start()
        closing.join(LAST_WORDS_S)

    def _readable(self, timeline: Timeline, span: KeptSpan) -> ReadableSpan:
        parent = timeline.origin.parent_id if span.parent_id is None else int(span.parent_id, 16)
        began_ns = round((timeline.wall_s + span.began_s) * 1e9)
        error = span.attributes.get(names.ERROR_TYPE)
        return ReadableSpan(
            name=_name(span),
            context=_context(timeline, int(span.span_id, 16), remote=False),
            parent=None if parent is None else _context(timeline, parent, remote=span.parent_id is None),
            resource=self._resource,
            attributes=span.attributes,
            kind=_kind(span),
            instrumentation_scope=self._scope,
            status=Status(StatusCode.UNSET if error is None else StatusCode.ERROR, error),
            start_time=began_ns,
            end_time=began_ns + round(span.duration_s * 1e9),
        )


def open_otlp(settings: OtlpSettings) -> Otlp:
    """The way to the collector that is configured; it is not asked anything yet.

    Raises:
        MissingVariableError: A header's value is to come from the environment and is not there.
    """
    headers = {
        name.lower(): from_environment(value, key=f"telemetry.otlp.headers.{name}")
        for name, value in settings.headers.items()
    }
    exporter = (_grpc if settings.protocol == "grpc" else _http)(settings, headers)
    return Otlp(exporter, service_name=settings.service_name, max_queue=settings.max_queue)


def _grpc(settings: OtlpSettings, headers: dict[str, str]) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - takes 30 MB

    insecure = urlsplit(settings.endpoint).scheme != "https"
    return OTLPSpanExporter(
        endpoint=settings.endpoint, insecure=insecure, headers=headers, timeout=settings.timeout_s
    )


def _http(settings: OtlpSettings, headers: dict[str, str]) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    endpoint = settings.endpoint.rstrip("/")
    traces = endpoint if endpoint.endswith("/v1/traces") else f"{endpoint}/v1/traces"
    return OTLPSpanExporter(endpoint=traces, headers=headers, timeout=settings.timeout_s)


def _context(timeline: Timeline, span_id: int, *, remote: bool) -> SpanContext:
    state = TraceState.from_header([timeline.origin.state]) if timeline.origin.state else None
    return SpanContext(timeline.origin.trace_id, span_id, is_remote=remote, trace_flags=SAMPLED, trace_state=state)


def _name(span: KeptSpan) -> str:
    """As the GenAI conventions have it where a model is asked: the operation and the model."""
    told: dict[str, Any] = span.attributes
    if span.name == "request":
        asked = f"{told.get(names.OPERATION, '')} {told.get(names.REQUEST_MODEL, '')}".strip()
        return asked or f"{told.get(names.METHOD, '')} {told.get(names.ROUTE, '')}".strip()
    if span.name == "attempt":
        return f"attempt {told.get(names.VARIANT, '')}".strip()
    return span.name


def _kind(span: KeptSpan) -> SpanKind:
    return {"request": SpanKind.SERVER, "attempt": SpanKind.CLIENT}.get(span.name, SpanKind.INTERNAL)
