"""How long a variant is waited for, and for whom it is left."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from backends.errors import UpstreamTimeoutError
from gateway.routing.patience import Patience, TooSlowError, patience_with
from gateway.routing.settings import CallSettings
from policies.objective import Limits
from policies.types import Estimate

SETTINGS = CallSettings()


def estimate(**fields: Any) -> Estimate:
    known: dict[str, Any] = {"quality": 0.5, "ttft_s": 0.1, "tpot_s": 0.01, "latency_s": 1.0}
    return Estimate(**(known | {"completion_tokens": 90.0, "cost_usd": 0.0} | fields))


def made(predicted: Estimate | None = None, limits: Limits | None = None, **fields: Any) -> Patience:
    known: dict[str, Any] = {"stream": True, "elapsed_s": 0.0, "remaining_s": 600.0, "idle_timeout_s": 60.0}
    asked = known | {"settings": SETTINGS, "others": lambda: False} | fields
    return patience_with(predicted, limits or Limits(), **asked)


def test_it_is_a_multiple_of_the_predicted_upper_quantile_and_never_less_than_is_set() -> None:
    assert made(estimate(ttft_s=0.1)).leave_s == 10.0
    assert made(estimate(ttft_s=1.0, ttft_high_s=4.0)).leave_s == 32.0
    assert made(estimate(latency_s=2.0, latency_high_s=5.0), stream=False).leave_s == 40.0
    assert made(None).leave_s == 10.0


@pytest.mark.parametrize(
    ("elapsed_s", "leave_s", "kind"),
    [(0.0, 2.0, TooSlowError), (1.5, 0.5, TooSlowError), (2.5, 10.0, UpstreamTimeoutError)],
    ids=["at_first", "on_a_fall_back", "once_it_has_passed"],
)
def test_the_limit_on_the_first_token_counts_from_the_request_as_long_as_it_can_be_kept(
    elapsed_s: float, leave_s: float, kind: type[UpstreamTimeoutError]
) -> None:
    patience = made(estimate(), Limits(ttft_s=2.0), elapsed_s=elapsed_s)
    assert (patience.leave_s, patience.leave_as) == (leave_s, kind)


def test_a_whole_answer_has_no_first_token_to_leave_it_for() -> None:
    patience = made(estimate(), Limits(ttft_s=2.0), stream=False)
    assert (patience.leave_s, patience.first_s) == (10.0, 600.0)


def test_every_wait_ends_with_the_time_of_the_request() -> None:
    patience = made(estimate(), remaining_s=3.0)
    assert (patience.first_s, patience.total_s, patience.timeouts.total_s) == (3.0, 3.0, 3.0)


def test_a_stall_is_a_multiple_of_the_predicted_time_per_token_within_its_bounds() -> None:
    assert made(estimate(tpot_s=0.01)).idle_s == 20.0
    assert made(estimate(tpot_s=0.06)).idle_s == 30.0
    assert made(estimate(tpot_s=1.0)).idle_s == 60.0


async def test_who_is_overdue_is_left_as_soon_as_somebody_else_may_answer() -> None:
    began_s = time.monotonic()

    def others() -> bool:
        return time.monotonic() - began_s > 0.3

    patience = Patience(first_s=9.0, idle_s=9.0, total_s=9.0, leave_s=0.1, leave_as=TooSlowError, others=others)
    with pytest.raises(TooSlowError):
        async with patience.first():
            await asyncio.sleep(8.0)
    assert time.monotonic() - began_s > 0.3


async def test_what_comes_in_time_leaves_no_timer_behind() -> None:
    asked = 0

    def others() -> bool:
        nonlocal asked
        asked += 1
        return False

    patience = Patience(first_s=9.0, idle_s=9.0, total_s=9.0, leave_s=0.02, others=others)
    async with patience.first():
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.6)
    assert asked == 1
