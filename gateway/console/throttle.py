"""Bounds how often anybody may try to sign in."""

from __future__ import annotations

from collections import OrderedDict, deque

__all__ = ("Throttle",)


class Throttle:
    """So many failures per key and window; the memory is bounded, the longest unseen go first."""

    def __init__(self, *, failures: int = 10, window_s: float = 60.0, max_keys: int = 10_000) -> None:
        self._failures = failures
        self._window_s = window_s
        self._max_keys = max_keys
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, key: str, *, now_s: float) -> float:
        """Seconds until a further try is allowed; 0 where it is now."""
        times = self._seen.get(key)
        if times is None or len(times) < self._failures:
            return 0.0
        return max(0.0, times[0] + self._window_s - now_s)

    def failed(self, key: str, *, now_s: float) -> None:
        """Count a failure."""
        times = self._seen.setdefault(key, deque(maxlen=self._failures))
        self._seen.move_to_end(key)
        times.append(now_s)
        while len(self._seen) > self._max_keys:
            self._seen.popitem(last=False)
