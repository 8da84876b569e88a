"""When a variant that has failed is asked again: only where nobody else is left, once, and never in a hurry."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np

from backends.errors import BackendError, UpstreamError, UpstreamTimeoutError
from gateway.routing.attempts import Call
from gateway.routing.health import Health
from gateway.routing.settings import CallSettings

__all__ = ("Failure", "Retries", "Retry")


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A call that failed before anything was sent to the caller."""

    call: Call
    error: BackendError


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Ask this variant again after a wait."""

    call: Call
    wait_s: float


class Retries:
    """Finds the variant that may be asked again the soonest.

    A wait is what the variant asked for, else drawn from [0, b * 2^k] with k the retries before: exponential back-off
    with full jitter, so that callers who failed together do not come back together.
    """

    def __init__(
        self,
        settings: CallSettings,
        *,
        health: Health,
        rng: np.random.Generator,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._health = health
        self._rng = rng
        self.sleep = sleep

    def soonest(self, failures: Sequence[Failure], *, within_s: float) -> Retry | None:
        """The retry with the shortest wait; None where none may be tried, or not within this time."""
        again = [failure.call.variant for failure in failures if failure.call.role == "retry"]
        retries = [
            Retry(call=failure.call, wait_s=self._wait_s(failure, retries=len(again)))
            for failure in failures
            if failure.call.variant not in again and _worth_it(failure.error)
        ]
        best = min(retries, key=lambda retry: retry.wait_s, default=None)
        return best if best is not None and best.wait_s < min(within_s, self._settings.longest_wait_s) else None

    def _wait_s(self, failure: Failure, *, retries: int) -> float:
        asked_s = failure.error.retry_after_s if isinstance(failure.error, UpstreamError) else None
        backoff_s = float(self._rng.random()) * self._settings.backoff_s * 2.0**retries
        shut_s = self._health.shut_s(failure.call.variant or "") or 0.0
        return max(backoff_s if asked_s is None else asked_s, shut_s)


def _worth_it(error: BackendError) -> bool:
    """Whether the same variant may do better; one that was silent is not asked for the same again."""
    return error.retryable and not isinstance(error, UpstreamTimeoutError)
