"""What the gateway adds is what is left when every moment in which a variant was asked is taken away, once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.metrics.overhead import overhead_s, union_s

moments = st.floats(0, 100)
intervals = st.lists(st.tuples(moments, moments).map(lambda pair: (min(pair), max(pair))), max_size=8)


@given(intervals)
def test_the_union_is_at_least_the_longest_and_at_most_all(spans: list[tuple[float, float]]) -> None:
    lengths = [b - a for a, b in spans]
    assert max(lengths, default=0.0) - 1e-9 <= union_s(spans) <= sum(lengths) + 1e-9


@given(intervals)
def test_no_order_and_no_repetition_changes_the_union(spans: list[tuple[float, float]]) -> None:
    assert union_s([*reversed(spans), *spans]) == pytest.approx(union_s(spans))


@given(intervals)
def test_overhead_and_what_was_asked_make_up_the_whole(spans: list[tuple[float, float]]) -> None:
    whole = (10.0, 90.0)
    inside = [(max(10.0, a), min(90.0, b)) for a, b in spans if min(90.0, b) > max(10.0, a)]
    assert overhead_s(whole, spans) == pytest.approx(80.0 - union_s(inside), abs=1e-6)
    assert -1e-9 <= overhead_s(whole, spans) <= 80.0 + 1e-9
