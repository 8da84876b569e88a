"""Tells everybody who reports on requests that one has ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from gateway.telemetry.seen import Seen

__all__ = ("Reporter", "Telemetry")

Reporter = Callable[[Seen], None]
"""Is told of every request once its answer has been sent, on the event loop's thread; returns at once."""

logger = logging.getLogger(__name__)


class Telemetry:
    """The reporters of one process."""

    def __init__(self, reporters: Sequence[Reporter]) -> None:
        self._reporters = tuple(reporters)

    def finished(self, seen: Seen) -> None:
        """Tell all of them; one that fails neither fails the request nor keeps the others from being told."""
        for reporter in self._reporters:
            try:
                reporter(seen)
            except Exception:
                logger.exception("request %s was not reported", seen.request_id)
