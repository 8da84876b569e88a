"""The circuit breaker, on a clock that the test turns."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.breaker import JITTER, Breaker
from gateway.routing.settings import CallSettings

SETTINGS = CallSettings(breaker_failures=5, breaker_share=0.5, open_s=1.0, longest_open_s=30.0)


def breaker() -> Breaker:
    return Breaker(SETTINGS, rng=np.random.default_rng(1))


def opened() -> Breaker:
    made = breaker()
    for _ in range(5):
        made.fail(0.0, probe=False)
    return made


def test_it_opens_after_as_many_failures_as_are_set() -> None:
    made = breaker()
    for failures in range(5):
        assert made.shut_s(0.0) is None, failures
        made.fail(0.0, probe=made.enter(0.0))
    wait_s = made.shut_s(0.0)
    assert wait_s is not None
    assert 1.0 <= wait_s <= 1.0 + JITTER


def test_failures_among_many_more_successes_do_not_open_it() -> None:
    made = breaker()
    for number in range(100):
        if number % 3:
            made.succeed(probe=False)
        else:
            made.fail(0.0, probe=False)
    assert made.shut_s(0.0) is None


def test_only_one_call_is_the_probe_and_the_others_stay_out() -> None:
    made = opened()
    assert made.shut_s(2.0) is None
    assert made.enter(2.0)
    assert made.shut_s(2.0) == 0.0
    assert not made.enter(2.0)


def test_a_probe_that_says_nothing_leaves_the_place_to_the_next() -> None:
    made = opened()
    made.leave(probe=made.enter(2.0))
    assert made.shut_s(2.0) is None
    assert made.enter(2.0)


def test_a_call_from_before_the_opening_neither_closes_nor_prolongs_it() -> None:
    made = opened()
    wait_s = made.shut_s(0.5)
    made.succeed(probe=False)
    made.fail(0.5, probe=False)
    assert made.shut_s(0.5) == wait_s


def test_each_opening_of_a_variant_that_flaps_is_longer_until_the_bound() -> None:
    made, now_s, openings = opened(), 0.0, []
    for _ in range(8):
        wait_s = made.shut_s(now_s)
        assert wait_s is not None
        openings.append(wait_s)
        now_s += wait_s
        made.fail(now_s, probe=made.enter(now_s))
    assert all(later > earlier * 1.5 for earlier, later in pairwise(openings[:5]))
    assert openings[-1] == 30.0


def test_one_that_closed_by_luck_opens_for_longer_than_before_and_a_proven_one_does_not() -> None:
    made = opened()
    made.succeed(probe=made.enter(2.0))
    for _ in range(5):
        made.fail(2.0, probe=False)
    second_s = made.shut_s(2.0)
    assert second_s is not None
    assert second_s >= 2.0
    made.succeed(probe=made.enter(10.0))
    for _ in range(10):
        made.succeed(probe=False)
    for _ in range(15):
        made.fail(10.0, probe=False)
    proven_s = made.shut_s(10.0)
    assert proven_s is not None
    assert proven_s <= 1.0 + JITTER


@given(
    events=st.lists(
        st.tuples(st.sampled_from(["succeed", "fail", "leave", "rest", "hint"]), st.floats(0.0, 40.0)), max_size=200
    )
)
def test_whatever_happens_it_is_never_shut_for_longer_than_the_bound_and_can_always_recover(
    events: list[tuple[str, float]],
) -> None:
    made, now_s = breaker(), 0.0
    for what, later_s in events:
        now_s += later_s
        probe = made.enter(now_s) if made.shut_s(now_s) is None else False
        if what == "succeed":
            made.succeed(probe=probe)
        elif what == "fail":
            made.fail(now_s, probe=probe)
        elif what == "rest":
            made.fail(now_s, probe=probe, rest_s=later_s * 100)
        elif what == "hint":
            made.leave(probe=probe)
            made.hold_open(now_s, for_s=later_s * 100)
        else:
            made.leave(probe=probe)
        shut_s = made.shut_s(now_s)
        assert shut_s is None or 0.0 < shut_s < 30.0 + 1e-6
    now_s += 31.0
    assert made.shut_s(now_s) is None
    made.succeed(probe=made.enter(now_s))
    assert made.shut_s(now_s) is None
