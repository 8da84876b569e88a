"""The waterfall: whatever was stored can be drawn, and drawn inside the request."""

from __future__ import annotations

import msgspec
from hypothesis import given

from gateway.telemetry import names
from gateway.traces.types import KeptSpan, TraceRow
from gateway.traces.waterfall import Bar, waterfall
from tests.trace_rows import span, trace, traces

EPS = 1e-9


def parents(bars: tuple[Bar, ...]) -> list[tuple[Bar, Bar]]:
    """Each row but the first with the row it stands below."""
    path: list[Bar] = []
    found = []
    for bar in bars:
        del path[bar.depth :]
        if path:
            found.append((bar, path[-1]))
        path.append(bar)
    return found


@given(traces())
def test_every_span_has_one_row_inside_the_request_and_inside_its_parent(row: TraceRow) -> None:
    bars = waterfall(row)
    assert sorted(bar.span_id for bar in bars) == sorted(span.span_id for span in row.spans)
    assert [bar.span_id for bar in bars if bar.depth == 0] == [row.spans[0].span_id]
    for bar in bars:
        assert 0 <= bar.offset <= 1
        assert bar.width >= 0
        assert bar.offset + bar.width <= 1 + EPS
    for bar, above in parents(bars):
        assert bar.depth == above.depth + 1
        assert bar.offset >= above.offset - EPS
        assert bar.offset + bar.width <= above.offset + above.width + EPS


@given(traces())
def test_siblings_stand_in_the_order_in_which_they_began(row: TraceRow) -> None:
    began: dict[str, float] = {}
    for bar, above in parents(waterfall(row)):
        assert bar.began_s >= began.get(above.span_id, 0.0)
        began[above.span_id] = bar.began_s


def test_rows_are_placed_by_their_share_of_the_request_and_named_for_a_person() -> None:
    bars = waterfall(trace(duration_s=10.0))
    assert [(bar.label, bar.depth, bar.blamed) for bar in bars] == [
        ("request", 0, False),
        ("auth", 1, False),
        ("queue", 1, True),
        ("decide", 1, False),
        ("attempt: quantized", 1, False),
        ("first_token", 2, False),
        ("generate", 2, False),
    ]
    generate = bars[-1]
    assert (round(generate.offset, 9), round(generate.width, 9)) == (0.85, 0.15)


def test_an_attempt_tells_why_the_variant_was_asked() -> None:
    attributes = {names.VARIANT: "full", names.ROLE: "escalation", names.ERROR_TYPE: "timeout"}
    attempt = span("attempt", 1.0, 1.0, **attributes)
    bars = waterfall(trace(spans=(span("request", 0.0, 2.0, under=None), attempt)))
    assert (bars[1].label, bars[1].error_type) == ("escalation: full", "timeout")


def test_a_caller_that_reads_slowly_is_shown_where_its_answer_was_passed_on() -> None:
    assert [bar.name for bar in waterfall(trace(stage="client")) if bar.blamed] == ["generate"]


def test_spans_that_stand_below_each_other_in_a_circle_are_put_below_the_request() -> None:
    one = KeptSpan(span_id="a" * 16, parent_id="b" * 16, name="a", began_s=0.0, duration_s=1.0)
    other = msgspec.structs.replace(one, span_id="b" * 16, parent_id="a" * 16, name="b")
    bars = waterfall(trace(spans=(span("request", 0.0, 1.0, under=None), one, other)))
    assert [(bar.name, bar.depth) for bar in bars] == [("request", 0), ("a", 1), ("b", 1)]


def test_a_request_that_took_no_time_is_drawn() -> None:
    assert waterfall(trace(spans=(span("request", 0.0, 0.0, under=None), span("auth", 0.0, 0.0))))[1].width == 0
    assert waterfall(trace(spans=())) == ()
