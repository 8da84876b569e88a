"""Where a request comes from in somebody else's trace: `traceparent`, as W3C Trace Context has it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

__all__ = ("Origin", "new_span_id", "origin_of")

_propagator = TraceContextTextMapPropagator()
_ids = random.Random()  # noqa: S311 - ids are to be unlike each other, not secret


def new_span_id() -> int:
    """64 random bits, never 0."""
    return _ids.getrandbits(64) or 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """The trace that a request belongs to."""

    trace_id: int = field(default_factory=lambda: _ids.getrandbits(128) or 1)
    """128 bits, never 0."""
    parent_id: int | None = None
    """The caller's span; None where the trace begins here."""
    sampled: bool | None = None
    """What the caller decided; None where it left that to us."""
    state: str = ""
    """Its `tracestate`, passed on as it is."""


def origin_of(headers: Mapping[str, str]) -> Origin:
    """The origin that a caller states; a new trace where it states none, or one that cannot be read."""
    if "traceparent" not in headers:
        return Origin()
    found = get_current_span(_propagator.extract(headers)).get_span_context()
    if not found.is_valid:
        return Origin()
    return Origin(
        trace_id=found.trace_id,
        parent_id=found.span_id,
        sampled=found.trace_flags.sampled,
        state=found.trace_state.to_header(),
    )
