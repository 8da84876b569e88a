"""When a fit is due: by evidence, not by the clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from policies.learner.schedule import FIRST_FIT, is_due


def test_the_first_fit_comes_after_fifty_judged_answers() -> None:
    assert not is_due(FIRST_FIT - 1, at_last=0)
    assert is_due(FIRST_FIT, at_last=0)
    assert FIRST_FIT == 50


def test_fits_come_ever_more_rarely() -> None:
    fits, last = [], 0
    for judged in range(5000):
        if is_due(judged, at_last=last):
            fits.append(judged)
            last = judged
    assert fits[:4] == [50, 75, 113, 170]
    assert len(fits) == 12


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_more_evidence_never_makes_a_fit_less_due(judged: int, more: int, at_last: int) -> None:
    assert is_due(judged + more, at_last=at_last) or not is_due(judged, at_last=at_last)
