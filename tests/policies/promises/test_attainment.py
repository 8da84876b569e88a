"""What is kept, what is broken, and what may still go wrong."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.promises.attainment import Attainment, Tally, attainment
from policies.promises.types import Sla

QUIET = Tally(start_s=0.0)


def judge(
    sla: Sla, ended: list[Tally], *, running: Tally = QUIET, short: Tally = QUIET, long: Tally = QUIET
) -> Attainment:
    [found] = attainment(ended, sla, running=running, short=short, long=long)
    return found


def up(requests: int, failed: int = 0) -> Tally:
    return Tally(start_s=0.0, requests=requests, failed=failed)


@st.composite
def busy(draw: st.DrawFn) -> Tally:
    requests = draw(st.integers(0, 50))
    return up(requests, draw(st.integers(0, requests)))


def test_only_what_was_promised_is_reported_in_the_order_of_the_sla() -> None:
    sla = Sla(ttft_p95_s=1.0, latency_p95_s=2.0, mean_quality=0.5, availability=0.9, max_cost_usd=1.0)
    found = attainment([QUIET], sla, running=QUIET, short=QUIET, long=QUIET)
    names = [of.promise for of in found]
    assert names == ["ttft_p95_s", "latency_p95_s", "mean_quality", "availability", "max_cost_usd"]
    assert attainment([QUIET], Sla(), running=QUIET, short=QUIET, long=QUIET) == ()


@pytest.mark.parametrize(
    ("sla", "kept", "broken"),
    [
        (Sla(ttft_p95_s=1.0), Tally(start_s=0, requests=9, streamed=9, ttft_p95_s=1.0), {"ttft_p95_s": 1.01}),
        (Sla(latency_p95_s=1.0), Tally(start_s=0, requests=9, latency_p95_s=1.0), {"latency_p95_s": 1.01}),
        (Sla(mean_quality=0.5), Tally(start_s=0, requests=9, rated=9, quality=0.5), {"quality": 0.499}),
        (Sla(availability=0.5), up(10, 5), {"failed": 6}),
        (Sla(max_cost_usd=0.5), Tally(start_s=0, requests=9, dearest_usd=0.5), {"dearest_usd": 0.51}),
    ],
    ids=["ttft", "latency", "quality", "availability", "cost"],
)
def test_the_limit_itself_keeps_the_promise_and_the_next_value_breaks_it(
    sla: Sla, kept: Tally, broken: dict[str, float]
) -> None:
    found = judge(sla, [kept, msgspec.structs.replace(kept, **broken), QUIET], running=kept)
    assert found.windows == ("kept", "broken", "quiet")
    assert (found.kept, found.broken, found.quiet, found.now_verdict) == (1, 1, 1, "kept")
    assert found.attained == 0.5


def test_the_budget_of_windows_is_the_objectives_share_of_those_that_say_something() -> None:
    found = judge(Sla(availability=0.9, objective=0.95), [up(10)] * 38 + [up(10, 5)] * 2 + [QUIET] * 60)
    assert found.may_break == pytest.approx(2.0)
    assert found.may_still_break == pytest.approx(0.0)


def test_the_error_budget_of_availability_is_the_classical_one() -> None:
    found = judge(Sla(availability=0.99), [up(1000, 5), up(1000, 0)], running=up(0))
    assert found.budget_left == pytest.approx(0.75)
    assert judge(Sla(availability=0.99), [up(100, 3)]).budget_left == pytest.approx(-2.0)


def test_a_burn_rate_of_one_uses_the_budget_up_exactly() -> None:
    found = judge(Sla(availability=0.99), [], short=up(100, 14), long=up(1000, 10))
    assert found.burn_short == pytest.approx(14.0)
    assert found.burn_long == pytest.approx(1.0)
    assert judge(Sla(availability=0.99), []).burn_short is None


def test_a_mean_has_no_single_request_to_blame() -> None:
    found = judge(Sla(mean_quality=0.5), [Tally(start_s=0, requests=9, rated=9, quality=0.4)])
    assert (found.allowance, found.budget_left, found.burn_short, found.burn_long) == (None,) * 4


@given(st.lists(busy(), max_size=30), busy(), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_the_parts_always_add_up(ended: list[Tally], running: Tally, promised: float, objective: float) -> None:
    found = judge(
        Sla(availability=promised, objective=objective), ended, running=running, short=running, long=running
    )
    assert found.kept + found.broken + found.quiet == len(ended) == len(found.windows)
    assert found.attained is None or 0.0 <= found.attained <= 1.0
    assert found.budget_left is None or found.budget_left <= 1.0
    assert found.burn_long is None or found.burn_long >= 0.0
    if found.burn_long is not None and not ended:
        assert found.budget_left == pytest.approx(1.0 - found.burn_long)
