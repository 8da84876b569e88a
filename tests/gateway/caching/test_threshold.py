"""The threshold only ever becomes stricter than the operator has set it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.caching.threshold import effective, raised_by

RATIO = st.floats(0, 1)
MAYBE = st.none() | RATIO


@given(stated=RATIO, asked=MAYBE, wrong=st.lists(RATIO, max_size=5))
def test_nothing_loosens_what_the_operator_has_set(stated: float, asked: float | None, wrong: list[float]) -> None:
    raised = None
    for similarity in wrong:
        before = raised
        raised = raised_by(similarity, raised=raised)
        assert raised > similarity
        assert before is None or raised >= before
    least = effective(stated, asked=asked, raised=raised)
    assert least >= stated
    assert asked is None or least >= asked
    assert all(least > similarity for similarity in wrong)


@given(similarity=st.floats(0.5, 0.99))
def test_one_wrong_answer_leaves_most_of_what_is_more_alike(similarity: float) -> None:
    assert raised_by(similarity) < (similarity + 1) / 2
