"""What the rest of a window has to come to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from policies.promises.aims import needed_mean, spare_share

ratios = st.floats(0, 1)
counts = st.integers(0, 1000)
ahead = st.floats(0.5, 1e4)


@given(st.floats(0.001, 0.5), counts, counts, ahead)
def test_a_window_that_aims_so_keeps_its_share(allowance: float, seen: int, broken: int, ahead: float) -> None:
    spare = spare_share(allowance, seen=seen, broken=broken, ahead=ahead)
    assert 0.0 <= spare <= 1.0
    if spare > 0.0:
        assert broken + spare * ahead <= allowance * (seen + ahead) + 1e-6


@given(ratios, counts, ratios, ahead, st.floats(0, 0.5))
def test_a_window_that_aims_so_reaches_its_mean(
    floor: float, seen: int, mean: float, ahead: float, spread: float
) -> None:
    needed = needed_mean(floor, seen=seen, total=seen * mean, ahead=ahead, spread=spread)
    assert 0.0 <= needed <= 1.0
    if needed < 1.0:
        assert (seen * mean + needed * ahead) / (seen + ahead) >= floor - 1e-9


def test_what_was_saved_may_be_used_and_what_was_lost_is_made_up_for() -> None:
    spared = [spare_share(0.05, seen=500, broken=broken, ahead=500.0) for broken in (5, 15, 25, 60)]
    assert spared == sorted(spared, reverse=True)
    assert spared[0] > 0.05 > spared[2]
    assert spared[3] == 0.0
    needed = [needed_mean(0.8, seen=500, total=500 * mean, ahead=500.0, spread=0.1) for mean in (0.9, 0.8, 0.7, 0.5)]
    assert needed == sorted(needed)
    assert needed[0] < 0.8 < needed[1]
    assert needed[3] == 1.0
