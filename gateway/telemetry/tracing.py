"""Makes traces of requests that have ended: those worth it are kept here, and sent on where a collector is set."""

from __future__ import annotations

import msgspec

from gateway.clock import Clock
from gateway.telemetry import names
from gateway.telemetry.attributes import request_attributes
from gateway.telemetry.blame import blame
from gateway.telemetry.otlp import Otlp
from gateway.telemetry.sampling import Sampler
from gateway.telemetry.seen import Seen
from gateway.telemetry.settings import TraceSettings
from gateway.telemetry.spans import kept_spans, span_id
from gateway.traces.types import Kept, TraceRow
from gateway.traces.writer import TraceLog

__all__ = ("TraceStats", "Tracing")

UNTRACED = ("/livez", "/readyz", "/healthz", "/health", "/metrics", "/console", "/openapi.json")
"""Routes, and what is below them, that are asked over and over and explain nothing, but where a variant is asked."""


class TraceStats(msgspec.Struct, frozen=True, kw_only=True):
    """How tracing is doing."""

    kept: dict[Kept, int]
    left_out: int
    """Traces that were to be kept and were too many at once."""


class Tracing:
    """A reporter that keeps traces."""

    def __init__(self, settings: TraceSettings, *, clock: Clock, traces: TraceLog, otlp: Otlp | None = None) -> None:
        self._settings = settings
        self._sampler = Sampler(settings, monotonic_s=clock.monotonic_s)
        self.traces = traces
        """Where they are kept."""
        self.otlp = otlp
        """Where they are sent as well; None where no collector is set."""
        self._kept: dict[Kept, int] = {"slow": 0, "failed": 0, "escalated": 0, "sampled": 0}

    @property
    def stats(self) -> TraceStats:
        """How tracing is doing."""
        return TraceStats(kept=dict(self._kept), left_out=self._sampler.left_out)

    def __call__(self, seen: Seen) -> None:
        """Keep the trace of a request that has ended, where there is a reason to."""
        if not self._settings.enabled or (seen.exchange is None and seen.route.startswith(UNTRACED)):
            return
        seen.kept = self._sampler.why(seen)
        if seen.kept is None:
            return
        self._kept[seen.kept] += 1
        row = _row(seen, seen.kept)
        self.traces.record(row)
        if self.otlp is not None:
            self.otlp.send(seen.timeline, row.spans)


def _row(seen: Seen, kept: Kept) -> TraceRow:
    timeline, exchange, outcome = seen.timeline, seen.exchange, seen.outcome
    spans = kept_spans(timeline)
    cause, seconds = blame(spans, client_wait_s=timeline.client_wait_s)
    root = msgspec.structs.replace(
        spans[0], attributes=request_attributes(seen) | {names.KEPT: kept, names.CAUSE: cause}
    )
    return TraceRow(
        span_id=span_id(timeline.root),
        trace_id=timeline.trace_id,
        request_id=seen.request_id,
        decision_id=exchange.decision_id if exchange is not None and exchange.decision is not None else None,
        tenant=seen.tenant,
        variant=None if exchange is None else exchange.variant,
        route=seen.route,
        started_at_s=timeline.wall_s,
        duration_s=seen.duration_s,
        status=seen.status,
        error_type=None if outcome is None else outcome.error_type,
        kept=kept,
        stage=cause,
        stage_s=seconds,
        spans=(root, *spans[1:]),
    )
