"""A trace as it is kept, and as it is asked for."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = ("Kept", "KeptSpan", "TraceRow", "TraceSummary")

Kept = Literal["slow", "failed", "escalated", "sampled"]
"""Why a trace was kept. Closed: it doubles as a metric label."""


class KeptSpan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A span of a kept trace. Nothing in it leads back to it, so that the garbage collector need not look."""

    span_id: str
    """16 hexadecimal digits."""
    parent_id: str | None = None
    """None for the request's own span."""
    name: str
    """A stage, `request`, `attempt`, `redis`, or `worker.queue`, `worker.prefill`, `worker.decode`, `worker.load`."""
    began_s: float
    """Since the trace began."""
    duration_s: float
    attributes: dict[str, Any] = {}
    """By the names of `gateway.telemetry.names`; plain JSON values."""


class TraceSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A kept trace without its spans, as lists have it."""

    span_id: str
    """Of the request's own span: names the trace here, since several requests may belong to one trace of a caller."""
    trace_id: str
    """32 hexadecimal digits."""
    request_id: str
    decision_id: str | None
    """None where nothing was decided."""
    tenant: str | None
    variant: str | None
    route: str
    started_at_s: float
    """Unix time."""
    duration_s: float
    status: int
    """HTTP status; 0 where none was sent."""
    error_type: str | None
    kept: Kept
    stage: str
    """What is to blame for the time it took; a key of `gateway.telemetry.blame.CAUSES`."""
    stage_s: float
    """Seconds that went there."""


class TraceRow(TraceSummary, frozen=True, kw_only=True):
    """One kept trace."""

    spans: tuple[KeptSpan, ...]
    """In the order in which they began; the first is the request's own."""
