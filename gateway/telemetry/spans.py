"""The spans of a request that has ended, as they are kept and sent on."""

from __future__ import annotations

from backends.protocol import Timings
from gateway.telemetry.timeline import Span, Timeline
from gateway.traces.types import KeptSpan

__all__ = ("kept_spans", "lay_start", "lay_worker_spans", "span_id")


def span_id(span: Span) -> str:
    """16 hexadecimal digits."""
    return f"{span.span_id:016x}"


def kept_spans(timeline: Timeline) -> tuple[KeptSpan, ...]:
    """All spans, the request's own first; what has not ended ends with it."""
    return tuple(_kept(timeline, span) for span in (timeline.root, *timeline.spans))


def lay_worker_spans(timeline: Timeline, attempt: Span, timings: Timings | None) -> None:
    """Lay what the worker told of its time inside the attempt.

    Its clock is its own: its last token is taken to have left it when the attempt ended.
    """
    if timings is None or attempt.ended_s is None:
        return
    ended_s = attempt.ended_s
    for name in ("decode", "prefill", "queue"):
        took_s: float = getattr(timings, f"{name}_s")
        if took_s > 0:
            timeline.add(f"worker.{name}", within=attempt, began_s=ended_s - took_s, ended_s=ended_s)
            ended_s -= took_s


def lay_start(timeline: Timeline, attempt: Span, *, took_s: float | None) -> None:
    """Lay the start of a worker that was waited for inside the attempt; it may have begun before, and ends now."""
    if took_s is not None:
        now_s = timeline.clock.monotonic_s()
        timeline.add("worker.load", within=attempt, began_s=now_s - took_s, ended_s=now_s)


def _kept(timeline: Timeline, span: Span) -> KeptSpan:
    root = timeline.root
    began_s = span.began_s - root.began_s
    ended_s = root.duration_s if span.ended_s is None else span.ended_s - root.began_s
    return KeptSpan(
        span_id=span_id(span),
        parent_id=None if span.parent is None else span_id(span.parent),
        name=span.name,
        began_s=began_s,
        duration_s=max(0.0, ended_s - began_s),
        attributes=span.attributes,
    )
