"""Who is asked again, and after how long: pure, with the draws of a seeded generator."""

from __future__ import annotations

import numpy as np
import pytest

from backends.errors import (
    BackendError,
    ConnectionLostError,
    ContextLengthError,
    NotFoundError,
    RateLimitedError,
    UpstreamTimeoutError,
)
from gateway.routing.attempts import Call, Role
from gateway.routing.health import Health
from gateway.routing.retry import Failure, Retries
from gateway.routing.settings import CallSettings

SETTINGS = CallSettings(backoff_s=0.2, longest_wait_s=5.0)


def retries(seed: int = 1) -> Retries:
    return Retries(SETTINGS, health=Health(SETTINGS), rng=np.random.default_rng(seed))


def failed(variant: str, error: BackendError, role: Role = "first") -> Failure:
    return Failure(call=Call(variant=variant, role=role), error=error)


def busy(retry_after_s: float | None) -> RateLimitedError:
    return RateLimitedError("slow down", retry_after_s=retry_after_s)


def test_without_a_stated_wait_it_is_drawn_evenly_from_zero_to_the_backoff() -> None:
    lost = [failed("a", ConnectionLostError("cut"))]
    waits = [retry.wait_s for seed in range(400) if (retry := retries(seed).soonest(lost, within_s=9.0))]
    assert len(waits) == 400
    assert 0.0 <= min(waits) < 0.02
    assert 0.18 < max(waits) <= 0.2
    # Uniform: the mean of 400 is within 5 standard errors (0.2 / sqrt(12 * 400)) of the middle.
    assert abs(float(np.mean(waits)) - 0.1) < 5 * 0.2 / (12 * 400) ** 0.5


def test_the_range_doubles_with_each_retry_before() -> None:
    failures = [failed("b", ConnectionLostError("cut"), "retry"), failed("a", ConnectionLostError("cut"))]
    waits = [retry.wait_s for seed in range(200) if (retry := retries(seed).soonest(failures, within_s=9.0))]
    assert 0.3 < max(waits) <= 0.4


def test_a_stated_wait_is_honoured_to_the_second() -> None:
    retry = retries().soonest([failed("a", busy(3.0))], within_s=9.0)
    assert retry is not None
    assert retry.wait_s == 3.0


@pytest.mark.parametrize(("asked_s", "within_s"), [(60.0, 600.0), (3.0, 2.0), (3.0, -1.0)])
def test_a_wait_that_is_too_long_or_does_not_fit_is_not_made(asked_s: float, within_s: float) -> None:
    assert retries().soonest([failed("a", busy(asked_s))], within_s=within_s) is None


@pytest.mark.parametrize(
    "error", [UpstreamTimeoutError("silence"), ContextLengthError("long"), NotFoundError("which model?")]
)
def test_what_would_end_the_same_way_is_not_asked_again(error: BackendError) -> None:
    assert retries().soonest([failed("a", error)], within_s=9.0) is None


def test_nobody_is_asked_a_third_time() -> None:
    failures = [failed("a", busy(None)), failed("a", busy(None), "retry")]
    assert retries().soonest(failures, within_s=9.0) is None


def test_of_several_the_one_that_is_ready_first_is_asked() -> None:
    failures = [failed("a", busy(4.0)), failed("b", busy(1.0)), failed("c", busy(2.0))]
    retry = retries().soonest(failures, within_s=9.0)
    assert retry is not None
    assert (retry.call.variant, retry.wait_s) == ("b", 1.0)


def test_an_open_circuit_is_waited_for() -> None:
    health = Health(SETTINGS)
    health.hint_open("a", for_s=2.0)
    made = Retries(SETTINGS, health=health, rng=np.random.default_rng(1))
    retry = made.soonest([failed("a", ConnectionLostError("cut"))], within_s=9.0)
    assert retry is not None
    assert 1.9 < retry.wait_s <= 2.0
