from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backends.worker.embedding_batches import Batches, Row

REQUESTS = st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=12), min_size=1, max_size=8)
"""Lengths of the texts of each request, in tokens."""


def waiting(requests: list[list[int]], *, max_rows: int = 8, max_tokens: int = 100) -> Batches:
    batches = Batches(max_rows=max_rows, max_tokens=max_tokens)
    for number, lengths in enumerate(requests):
        batches.add(number, ["text"] * len(lengths), lengths)
    return batches


def all_of(batches: Batches) -> list[list[Row]]:
    taken = []
    while batches:
        taken.append(batches.take())
    return taken


@given(REQUESTS, st.integers(1, 10), st.integers(1, 120))
def test_every_text_is_computed_once_within_the_bounds(
    requests: list[list[int]], max_rows: int, max_tokens: int
) -> None:
    taken = all_of(waiting(requests, max_rows=max_rows, max_tokens=max_tokens))
    places = [(row.request_id, row.index, row.tokens) for batch in taken for row in batch]
    expected = [(number, i, length) for number, texts in enumerate(requests) for i, length in enumerate(texts)]
    assert sorted(places) == expected
    for batch in taken:
        assert 1 <= len(batch) <= max_rows
        padded = len(batch) * max(row.tokens for row in batch)
        assert len(batch) == 1 or padded <= max_tokens


@given(REQUESTS, st.integers(1, 60))
def test_no_request_is_served_twice_before_another_that_waits(requests: list[list[int]], length: int) -> None:
    batches = waiting(requests)
    batches.add(99, ["text"], [length])
    order = [row.request_id for batch in all_of(batches) for row in batch]
    before = order[: order.index(99)]
    assert sorted(before) == sorted(set(before))


@given(REQUESTS, st.data())
def test_what_is_dropped_is_not_computed_any_more(requests: list[list[int]], data: st.DataObject) -> None:
    batches = waiting(requests)
    batches.take()
    dropped = data.draw(st.integers(0, len(requests)))
    batches.drop(dropped)
    assert dropped not in {row.request_id for batch in all_of(batches) for row in batch}
