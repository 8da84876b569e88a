"""A trace as rows to be drawn: each span below its parent, placed by ratios of the request's whole time.

Pure, and shared by the terminal and the console, so that both show the same picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from gateway.telemetry import names
from gateway.traces.types import KeptSpan, TraceRow

__all__ = ("Bar", "waterfall")

_SHOWN_BY: Mapping[str, tuple[str, ...]] = {
    "generate": ("generate", "worker.decode", "upstream"),
    "first_token": ("first_token", "worker.prefill", "upstream"),
    "worker": ("worker.queue",),
    "client": ("generate",),
    "failed_attempt": ("attempt",),
}
"""Causes, and the spans that show them: the first of these that there is."""


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a waterfall."""

    span_id: str
    name: str
    """The span's name."""
    label: str
    """For a person: the name, and of an attempt which variant was asked, and why."""
    depth: int
    """0 for the request itself, one more for each level below."""
    offset: float
    """Where it begins, in [0, 1] of the request's time."""
    width: float
    """How long it is, in [0, 1] of the request's time; `offset + width` is at most 1."""
    began_s: float
    """Since the request began."""
    duration_s: float
    blamed: bool
    """Whether this is where the time went that is to blame."""
    error_type: str | None
    attributes: dict[str, Any]


def waterfall(trace: TraceRow) -> tuple[Bar, ...]:
    """The rows of a trace from the top; the request's own comes first, siblings follow in the order they began.

    A span that does not fit into its parent is cut to it, and one whose parent is not there is put below the request,
    so that whatever was stored can be drawn.
    """
    if not trace.spans:
        return ()
    root, *rest = trace.spans
    blamed = _blamed(trace)
    placed = list(_walk(root, _children(root, rest)))
    whole_s = placed[0].to_s - root.began_s
    return tuple(_bar(at, began_s=root.began_s, whole_s=whole_s, blamed=at.span.name == blamed) for at in placed)


class _Placed(NamedTuple):
    span: KeptSpan
    depth: int
    from_s: float
    to_s: float


def _bar(at: _Placed, *, began_s: float, whole_s: float, blamed: bool) -> Bar:
    offset = _ratio(at.from_s - began_s, whole_s)
    return Bar(
        span_id=at.span.span_id,
        name=at.span.name,
        label=_label(at.span),
        depth=at.depth,
        offset=offset,
        width=min(_ratio(at.to_s - at.from_s, whole_s), 1.0 - offset),
        began_s=at.from_s - began_s,
        duration_s=at.to_s - at.from_s,
        blamed=blamed,
        error_type=at.span.attributes.get(names.ERROR_TYPE),
        attributes=at.span.attributes,
    )


def _blamed(trace: TraceRow) -> str:
    """The name of the spans to mark."""
    seen = {span.name for span in trace.spans}
    return next((name for name in _SHOWN_BY.get(trace.stage, ()) if name in seen), trace.stage)


def _children(root: KeptSpan, rest: Sequence[KeptSpan]) -> dict[str, list[KeptSpan]]:
    """The spans below each one; all of them can be reached from the root."""
    by_id = {span.span_id: span for span in rest}
    found: dict[str, list[KeptSpan]] = {}
    for span in sorted(by_id.values(), key=lambda span: span.began_s):
        parent_id = span.parent_id if _leads_up(span, by_id, root) else root.span_id
        found.setdefault(parent_id or root.span_id, []).append(span)
    return found


def _leads_up(span: KeptSpan, by_id: Mapping[str, KeptSpan], root: KeptSpan) -> bool:
    """Whether one parent after the other leads to the root, without going round in a circle."""
    seen = {span.span_id}
    parent_id = span.parent_id
    while parent_id != root.span_id:
        if parent_id is None or parent_id in seen or parent_id not in by_id:
            return False
        seen.add(parent_id)
        parent_id = by_id[parent_id].parent_id
    return True


def _walk(root: KeptSpan, children: Mapping[str, Sequence[KeptSpan]]) -> Iterator[_Placed]:
    """The root and all below it, from the top."""
    waiting = [_placed(root, depth=0, from_s=root.began_s, to_s=math.inf)]
    while waiting:
        above = waiting.pop()
        yield above
        below = children.get(above.span.span_id, ())
        waiting += [_placed(s, depth=above.depth + 1, from_s=above.from_s, to_s=above.to_s) for s in reversed(below)]


def _placed(span: KeptSpan, *, depth: int, from_s: float, to_s: float) -> _Placed:
    """A span, cut to what lies between the two."""
    begins_s = min(max(span.began_s, from_s), to_s)
    ends_s = min(max(span.began_s + span.duration_s, begins_s), to_s)
    return _Placed(span, depth, begins_s, ends_s)


def _ratio(part_s: float, whole_s: float) -> float:
    return min(max(part_s / whole_s, 0.0), 1.0) if whole_s > 0 else 0.0


def _label(span: KeptSpan) -> str:
    variant, role = span.attributes.get(names.VARIANT), span.attributes.get(names.ROLE)
    if span.name != "attempt" or variant is None:
        return span.name
    return f"attempt: {variant}" if role in {None, "first"} else f"{role}: {variant}"
