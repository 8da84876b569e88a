"""Spans lie inside the spans they are part of, and belong to the trace that the caller states."""

from __future__ import annotations

import pytest

from gateway.telemetry.origin import Origin, origin_of
from gateway.telemetry.timeline import CURRENT, Timeline, aside

TRACE, SPAN = "a1" * 16, "b2" * 8


@pytest.mark.parametrize(
    "header", ["", "00-short-b2-01", f"00-{'zz' * 16}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"ff-{TRACE}-{SPAN}-01"]
)
def test_a_traceparent_that_cannot_be_read_begins_a_new_trace(header: str) -> None:
    origin = origin_of({"traceparent": header})
    assert origin.parent_id is None
    assert origin.trace_id not in {0, int(TRACE, 16)}


@pytest.mark.parametrize(("flags", "sampled"), [("01", True), ("00", False)])
def test_a_sound_traceparent_is_the_parent(flags: str, *, sampled: bool) -> None:
    origin = origin_of({"traceparent": f"00-{TRACE}-{SPAN}-{flags}", "tracestate": "vendor=1"})
    assert (origin.trace_id, origin.parent_id) == (int(TRACE, 16), int(SPAN, 16))
    assert (origin.sampled, origin.state) == (sampled, "vendor=1")


def test_what_is_done_elsewhere_has_the_span_as_its_parent() -> None:
    timeline = Timeline(origin=Origin(trace_id=int(TRACE, 16), sampled=False, state="vendor=1"))
    span = timeline.begin("attempt")
    headers = timeline.onward(span)
    assert headers == {"traceparent": f"00-{TRACE}-{span.span_id:016x}-00", "tracestate": "vendor=1"}
    assert origin_of(headers).parent_id == span.span_id


def test_what_goes_on_aside_is_part_of_the_stage_that_the_request_is_in() -> None:
    timeline = Timeline()
    token = CURRENT.set(timeline)
    try:
        with timeline.stage("limits") as limits, aside("redis"):
            pass
        with aside("redis"):
            pass
    finally:
        CURRENT.reset(token)
    assert [span.parent for span in timeline.spans if span.name == "redis"] == [limits, timeline.root]
    with aside("redis"):
        pass
    assert len(timeline.spans) == 3, "where there is no request there is no span"


def test_a_span_measured_elsewhere_is_kept_inside_its_parent() -> None:
    timeline = Timeline()
    attempt = timeline.begin("attempt")
    timeline.end(attempt)
    span = timeline.add("worker.decode", within=attempt, began_s=attempt.began_s - 5, ended_s=attempt.began_s + 60)
    assert attempt.ended_s is not None
    assert attempt.began_s <= span.began_s <= (span.ended_s or 0.0) <= attempt.ended_s
