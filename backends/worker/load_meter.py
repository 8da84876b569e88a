"""What a worker knows about its own load."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable

__all__ = ("LoadMeter",)

_WINDOW_S = 5.0


class LoadMeter:
    """Answers in flight, and tokens generated over the last seconds. Not thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._in_flight: set[int] = set()
        self._steps: collections.deque[tuple[float, int]] = collections.deque()
        self._idle_since_s = clock()

    @property
    def in_flight(self) -> int:
        """Answers waiting or being generated, cancelled ones until the engine has dropped them."""
        return len(self._in_flight)

    @property
    def idle_s(self) -> float:
        """Seconds since the last answer ended; 0 while one is in flight."""
        return 0.0 if self._in_flight else self._clock() - self._idle_since_s

    @property
    def tokens_per_s(self) -> float:
        """Tokens per second over the window, or over the part of it in which there were any."""
        now_s = self._clock()
        self._forget(now_s)
        if not self._steps:
            return 0.0
        return sum(tokens for _, tokens in self._steps) / max(now_s - self._steps[0][0], 1.0)

    def begin(self, ids: Iterable[int]) -> None:
        """These answers were asked for."""
        self._in_flight.update(ids)

    def end(self, ids: Iterable[int]) -> None:
        """These answers are over."""
        self._in_flight.difference_update(ids)
        self._idle_since_s = self._clock()

    def generated(self, tokens: int) -> None:
        """One step produced this many tokens."""
        now_s = self._clock()
        self._steps.append((now_s, tokens))
        self._forget(now_s)

    def _forget(self, now_s: float) -> None:
        while self._steps and self._steps[0][0] < now_s - _WINDOW_S:
            self._steps.popleft()
