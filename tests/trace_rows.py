"""Traces as they are kept, and strategies that make any of them."""

from __future__ import annotations

import zlib
from typing import Any

from hypothesis import strategies as st

from gateway.telemetry import names
from gateway.traces.types import KeptSpan, TraceRow

__all__ = ("span", "spans", "trace", "traces", "waited")


def span(
    name: str, began_s: float, duration_s: float, *, under: str | None = "0" * 16, **attributes: Any
) -> KeptSpan:
    """A span whose id is made of its name and its beginning."""
    span_id = f"{zlib.crc32(f'{name} {began_s}'.encode()):016x}" if under else "0" * 16
    return KeptSpan(
        span_id=span_id, parent_id=under, name=name, began_s=began_s, duration_s=duration_s, attributes=attributes
    )


def waited(duration_s: float = 3.0) -> tuple[KeptSpan, ...]:
    """The spans of a request that waited in the queue for most of its time, and then was answered."""
    attempt = KeptSpan(
        span_id="000000000000000a",
        parent_id="0" * 16,
        name="attempt",
        began_s=0.8 * duration_s,
        duration_s=0.2 * duration_s,
        attributes={names.VARIANT: "quantized", names.ROLE: "first", names.PROPENSITY: 0.95},
    )
    return (
        span("request", 0.0, duration_s, under=None, **{names.REQUEST_MODEL: "auto"}),
        span("auth", 0.0, 0.0001),
        span("queue", 0.0002, 0.8 * duration_s - 0.0003),
        span("decide", 0.8 * duration_s - 0.0001, 0.0001),
        attempt,
        span("first_token", attempt.began_s, 0.05 * duration_s, under=attempt.span_id),
        span("generate", 0.85 * duration_s, 0.15 * duration_s, under=attempt.span_id),
    )


def trace(number: int = 1, /, **changes: Any) -> TraceRow:
    """A slow request of the tenant `law`, but for the changes; a second later for each number."""
    duration_s: float = changes.get("duration_s", 3.0)
    plain: dict[str, Any] = {
        "span_id": f"{number:016x}",
        "trace_id": f"{number:032x}",
        "request_id": f"req_{number}",
        "decision_id": f"dec_{number}",
        "tenant": "law",
        "variant": "quantized",
        "route": "/v1/chat/completions",
        "started_at_s": 1_700_000_000.0 + number,
        "duration_s": duration_s,
        "status": 200,
        "error_type": None,
        "kept": "slow",
        "stage": "queue",
        "stage_s": 0.8 * duration_s,
        "spans": waited(duration_s),
    }
    return TraceRow(**(plain | changes))


_ids = st.text("0123456789abcdef", min_size=16, max_size=16)
_seconds = st.floats(0, 1e4, allow_nan=False)
_numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
_plain = st.none() | st.booleans() | _numbers | st.text(max_size=20)
_json = st.recursive(
    _plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)

spans = st.builds(
    KeptSpan,
    span_id=_ids,
    parent_id=st.none() | _ids,
    name=st.text(max_size=30),
    began_s=_seconds,
    duration_s=_seconds,
    attributes=st.dictionaries(st.text(max_size=20), _json, max_size=4),
)
"""Any span."""


@st.composite
def traces(draw: st.DrawFn) -> TraceRow:
    """A trace of any spans: each below some earlier one, or below one that is not there."""
    made = draw(st.lists(spans, min_size=1, max_size=12, unique_by=lambda span: span.span_id))
    return trace(spans=tuple(made), stage=draw(st.sampled_from([span.name for span in made])))
