"""What calls tell about their variants, and what replicas tell each other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np
import pytest

from backends.errors import (
    BackendError,
    BadRequestError,
    BuildError,
    ConnectError,
    ContextLengthError,
    OverloadedError,
    ProtocolError,
    RateLimitedError,
    UpstreamServerError,
    UpstreamTimeoutError,
)
from gateway.clock import Clock
from gateway.routing.health import Health
from gateway.routing.patience import TooSlowError
from gateway.routing.settings import CallSettings


@dataclass
class Hands:
    """Of a clock that the test turns."""

    now_s: float = 100.0

    def read(self) -> float:
        return self.now_s


def health(hands: Hands) -> Health:
    clock = Clock(wall_s=hands.read, monotonic_s=hands.read)
    return Health(CallSettings(), clock=clock, rng=np.random.default_rng(1))


def call(made: Health, error: BaseException | None = None, *, after: str = "silence") -> None:
    try:
        with made.watch("a") as watch:
            if after == "answer":
                watch.answered()
            if error is not None:
                raise error
            watch.answered()
    except (BackendError, asyncio.CancelledError):
        pass


@pytest.mark.parametrize(
    "error",
    [
        ConnectError("refused"),
        UpstreamServerError("500"),
        OverloadedError("503"),
        UpstreamTimeoutError("silence"),
        ProtocolError("{oops"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_failures_of_its_own_shut_a_variant(error: BackendError) -> None:
    made = health(Hands())
    for _ in range(5):
        call(made, error)
    assert made.shut_s("a") is not None
    assert made.shut_s("b") is None


@pytest.mark.parametrize(
    "error",
    [
        BadRequestError("odd"),
        ContextLengthError("long"),
        TooSlowError("for this caller"),
        RateLimitedError("quota"),
        BuildError("not a call"),
        asyncio.CancelledError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_callers_bring_about_shuts_nobody(error: BaseException) -> None:
    made = health(Hands())
    for _ in range(50):
        call(made, error)
    assert made.shut_s("a") is None


def test_a_stated_rest_shuts_at_once_and_for_so_long() -> None:
    hands = Hands()
    made = health(hands)
    call(made, RateLimitedError("later", retry_after_s=7.0))
    assert made.shut_s("a") == 7.0
    hands.now_s += 7.0
    assert made.shut_s("a") is None


def test_a_stream_that_breaks_after_it_began_is_a_failure_too() -> None:
    made = health(Hands())
    for _ in range(10):
        call(made, ProtocolError("{oops"), after="answer")
    assert made.shut_s("a") is not None


def test_only_own_openings_are_told_to_other_replicas() -> None:
    hands = Hands()
    first, second = health(hands), health(hands)
    for _ in range(5):
        call(first, ConnectError("refused"))
    told = first.open_for_s()
    assert set(told) == {"a"}
    second.hint_open("a", for_s=told["a"])
    assert second.shut_s("a") == pytest.approx(told["a"])
    assert second.open_for_s() == {}, "or two replicas would keep a circuit open for ever"
    hands.now_s += 2.0
    call(second)
    assert second.shut_s("a") is None


def test_what_was_held_against_a_variant_can_be_forgotten() -> None:
    made = health(Hands())
    call(made, RateLimitedError("later", retry_after_s=7.0))
    made.forget("a")
    assert made.shut_s("a") is None
