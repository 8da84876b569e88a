"""Tells everybody who reports on requests that some have ended: a few at a time, for that costs half as much.

What a reporter needs has left the processor's caches by the time one request after the other is told; told together,
only the first of them pays for that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from gateway.telemetry.seen import Seen

__all__ = ("Reporter", "Telemetry")

Reporter = Callable[[Seen], None]
"""Is told of every request after its answer has been sent, on the event loop's thread; returns at once."""

TOGETHER = 8
"""Requests told at a time; reporting them takes about half a millisecond, for which nothing else is done."""

WITHIN_S = 0.05
"""How long the first of them waits at most."""

logger = logging.getLogger(__name__)


class Telemetry:
    """The reporters of one process."""

    def __init__(self, reporters: Sequence[Reporter]) -> None:
        self._reporters = tuple(reporters)
        self._waiting: list[Seen] = []
        self._timer: asyncio.TimerHandle | None = None

    def finished(self, seen: Seen) -> None:
        """Have all of them told of a request, in a moment."""
        self._waiting.append(seen)
        if len(self._waiting) >= TOGETHER:
            self.report()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WITHIN_S, self.report)

    def report(self) -> None:
        """Tell all of them now; one that fails keeps no other from being told."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ended, self._waiting = self._waiting, []
        for seen in ended:
            for reporter in self._reporters:
                try:
                    reporter(seen)
                except Exception:
                    logger.exception("request %s was not reported", seen.request_id)
