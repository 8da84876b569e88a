"""A circuit breaker of one variant: open after failures, probed by one request, closed by its success.

    closed --failures--> open --time--> half open --probe succeeds--> closed
                           ^                |
                           +--probe fails---+   twice as long

Each opening lasts twice as long as the one before until the variant has proven itself, so that one which flaps is
asked ever less often.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from gateway.routing.settings import CallSettings

__all__ = ("Breaker",)

WINDOW = 20
"""Latest calls that are looked at."""

PROVEN = 5
"""Successes without a failure after which earlier openings are forgotten."""

JITTER = 0.25
"""Openings are lengthened by up to this share, so that replicas do not probe together."""


class Breaker:
    """Counts what became of calls. Times are seconds on any monotonic clock."""

    def __init__(self, settings: CallSettings, *, rng: np.random.Generator) -> None:
        self._settings = settings
        self._rng = rng
        self._failed: deque[bool] = deque(maxlen=WINDOW)
        self._until_s: float | None = None
        """Set while the circuit is not closed: when it may be probed."""
        self._probing = False
        self._openings = 0

    def shut_s(self, now_s: float) -> float | None:
        """Seconds until the variant may be called, 0 while it is being probed; None where it may be called now."""
        if self._until_s is None:
            return None
        wait_s = self._until_s - now_s
        return wait_s if wait_s > 0 else 0.0 if self._probing else None

    def enter(self, now_s: float) -> bool:
        """A call begins; whether it is the probe that decides."""
        if self._until_s is None or self._probing or now_s < self._until_s:
            return False
        self._probing = True
        return True

    def leave(self, *, probe: bool) -> None:
        """A call ended without saying anything about the variant."""
        if probe:
            self._probing = False

    def succeed(self, *, probe: bool) -> None:
        """A call was answered. One that began before the circuit opened does not close it."""
        if probe:
            self._until_s, self._probing = None, False
            self._failed.clear()
        if self._until_s is None:
            self._failed.append(False)
            if len(self._failed) >= PROVEN and not any(self._failed):
                self._openings = 0

    def fail(self, now_s: float, *, probe: bool, rest_s: float | None = None) -> None:
        """A call failed through the variant's own doing.

        Args:
            now_s: The time.
            probe: What `enter` said of this call.
            rest_s: How long the variant asked to be left alone, where it did.
        """
        if self._until_s is not None and not probe:
            return
        self._probing = False
        self._failed.append(True)
        failures, settings = sum(self._failed), self._settings
        if rest_s:
            self._until_s = now_s + min(rest_s, settings.longest_open_s)
        elif probe or (
            failures >= settings.breaker_failures and failures >= settings.breaker_share * len(self._failed)
        ):
            self._open(now_s)

    def hold_open(self, now_s: float, *, for_s: float) -> None:
        """Take another process's word that the variant fails."""
        if self._until_s is None:
            self._until_s = now_s + min(for_s, self._settings.longest_open_s)

    def _open(self, now_s: float) -> None:
        settings = self._settings
        open_s = settings.open_s * 2.0**self._openings * (1.0 + JITTER * float(self._rng.random()))
        self._until_s = now_s + min(open_s, settings.longest_open_s)
        # Bounded, for a number that doubles for ever overflows.
        self._openings = min(self._openings + 1, 16)
