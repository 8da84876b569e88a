"""How the variants answer, seen from here: a breaker for each, fed by the calls that are made anyway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from backends.errors import (
    BackendError,
    BadRequestError,
    ContextLengthError,
    OverloadedError,
    RateLimitedError,
    UpstreamError,
)
from gateway.clock import SYSTEM_CLOCK, Clock
from gateway.routing.breaker import Breaker
from gateway.routing.patience import TooSlowError
from gateway.routing.settings import CallSettings

__all__ = ("Health", "Watch")

_NOT_ITS_FAULT = (BadRequestError, ContextLengthError, TooSlowError)
"""What a caller can bring about: no tenant may shut a variant for the others."""


class Watch:
    """One call, as far as its breaker wants to know of it."""

    def __init__(self, breaker: Breaker, *, now_s: float) -> None:
        self._breaker = breaker
        self._probe = breaker.enter(now_s)
        self._answered = False

    def answered(self) -> None:
        """The variant gives an answer; only the first call counts."""
        if not self._answered:
            self._answered = True
            self._breaker.succeed(probe=self._probe)
            self._probe = False

    def failed(self, error: BackendError, *, now_s: float) -> None:
        """The call failed."""
        if not isinstance(error, UpstreamError) or isinstance(error, _NOT_ITS_FAULT):
            return
        rests = isinstance(error, RateLimitedError | OverloadedError)
        if isinstance(error, RateLimitedError) and not error.retry_after_s:
            return  # Its quota is used up; that is no illness, and how long it lasts is not known.
        self._breaker.fail(now_s, probe=self._probe, rest_s=error.retry_after_s if rests else None)
        self._probe = False

    def left(self) -> None:
        """The call is over, whatever became of it."""
        self._breaker.leave(probe=self._probe)


class Health:
    """The breakers of this process."""

    def __init__(
        self,
        settings: CallSettings | None = None,
        *,
        clock: Clock = SYSTEM_CLOCK,
        rng: np.random.Generator | None = None,
    ) -> None:
        self._settings = settings or CallSettings()
        self._clock = clock
        self._rng = rng or np.random.default_rng()
        self._breakers: dict[str, Breaker] = {}
        self._hinted: set[str] = set()

    def shut_s(self, variant: str) -> float | None:
        """Seconds until a variant may be called, 0 while it is being probed; None where it may be called now."""
        breaker = self._breakers.get(variant)
        return None if breaker is None else breaker.shut_s(self._clock.monotonic_s())

    @contextmanager
    def watch(self, variant: str) -> Iterator[Watch]:
        """Learn from a call what it tells about its variant; one that is broken off tells nothing."""
        watch = Watch(self._breaker(variant), now_s=self._clock.monotonic_s())
        try:
            yield watch
        except BackendError as error:
            self._hinted.discard(variant)
            watch.failed(error, now_s=self._clock.monotonic_s())
            raise
        finally:
            watch.left()

    def forget(self, variant: str) -> None:
        """Close a variant's circuit, for it has been started anew or somebody has seen to it."""
        self._breakers.pop(variant, None)
        self._hinted.discard(variant)

    def open_for_s(self) -> dict[str, float]:
        """Seconds for which circuits stay open that this process opened itself, to tell other replicas."""
        shut = {name: self.shut_s(name) for name in self._breakers if name not in self._hinted}
        return {name: wait_s for name, wait_s in shut.items() if wait_s}

    def hint_open(self, variant: str, *, for_s: float) -> None:
        """Another replica's circuit is open for so long: leave the variant alone here too, then probe it."""
        breaker, now_s = self._breaker(variant), self._clock.monotonic_s()
        if breaker.shut_s(now_s) is None:
            breaker.hold_open(now_s, for_s=for_s)
            self._hinted.add(variant)

    def _breaker(self, variant: str) -> Breaker:
        return self._breakers.setdefault(variant, Breaker(self._settings, rng=self._rng))
