"""Statistics are sums: they add up, are taken back, and forget by scaling."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from policies.learner.moments import Moments

SIZE = 3
numbers = st.floats(-100, 100)
record = st.tuples(
    st.integers(0, 1), st.lists(numbers, min_size=SIZE, max_size=SIZE).map(np.array), numbers, st.floats(0, 1)
)
several = st.lists(record, max_size=12)


def of(records: list[tuple[int, np.ndarray, float, float]]) -> Moments:
    made = Moments.zeros(2, SIZE)
    for variant, z, y, weight in records:
        made.add(variant, z, y, weight=weight)
    return made


def assert_equal(one: Moments, other: Moments, *, atol: float = 1e-6) -> None:
    for name in Moments.__slots__:
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9, atol=atol)


@given(several, several)
def test_sums_of_two_parts_are_those_of_the_whole(one: list, other: list) -> None:
    both = of(one)
    both.plus(of(other), factors=np.ones(2))
    assert_equal(both, of(one + other))


@given(several)
def test_the_order_of_records_does_not_matter(records: list) -> None:
    assert_equal(of(records), of(records[::-1]))


@given(several)
def test_many_at_once_are_each_of_them(records: list) -> None:
    together = Moments.zeros(2, SIZE)
    for variant in (0, 1):
        mine = [record for record in records if record[0] == variant]
        z = np.array([z for _, z, _, _ in mine]).reshape(len(mine), SIZE)
        together.add_all(variant, z, *(np.array([record[i] for record in mine]) for i in (2, 3)))
    assert_equal(together, of(records))


@given(several, record)
def test_a_record_taken_back_was_never_there(records: list, one: tuple) -> None:
    made = of([*records, one])
    variant, z, y, weight = one
    made.add(variant, z, y, weight=-weight)
    assert_equal(made, of(records))


@given(several, st.floats(0, 1))
def test_forgetting_is_counting_for_less(records: list, factor: float) -> None:
    made = of(records)
    made.scale(1, factor)
    assert_equal(made, of([(v, z, y, w * (factor if v == 1 else 1.0)) for v, z, y, w in records]))


@given(several)
def test_a_variant_comes_and_goes_without_a_trace(records: list) -> None:
    made = of(records)
    more = made.extended()
    assert more.weight[2] == 0.0
    more.add(2, np.ones(SIZE), 1.0, weight=1.0)
    assert_equal(more.without(2), made)
    assert len(made.weight) == 2


def test_a_copy_goes_its_own_way() -> None:
    made = of([])
    made.copy().add(0, np.ones(SIZE), 1.0, weight=1.0)
    assert not made.weight.any()
