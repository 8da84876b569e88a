"""Whether routing learns: the figures of a period, what they say in words, and the latest trainings."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import msgspec

from gateway.clock import Clock
from policies.evaluation.learning_types import LearningFigures

__all__ = ("KEEP_FOR_S", "LearningQuery", "LearningReport", "LearningReports", "TrainingLine")

KEEP_FOR_S = 15.0
"""Seconds for which a report is reused, so that many open pages cost as much as one."""
STALE_FOR_S = 300.0
"""If a new report takes longer than `RENEWED_WITHIN_S`, the old one is served until it is this many seconds old."""
RENEWED_WITHIN_S = 2.0
MAX_KEPT = 32


class LearningQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What a report is about."""

    period_s: float = 86_400.0
    """Seconds before now."""
    tenant: str | None = None
    """None for all."""
    hint: str | None = None
    """Requests that named this priority; None for all requests."""


class TrainingLine(msgspec.Struct, frozen=True, kw_only=True):
    """One training, as `gateway.learning.trainings` stores it."""

    number: int
    created_at_s: float
    """Unix time."""
    rows: int
    """Answered requests that it saw."""
    judged_rows: int
    """Of those, with a judgement."""
    promoted: dict[str, bool]
    """By kind of estimator: whether it was put in force."""
    because: dict[str, str]
    """By kind: why, or why not."""
    in_force: dict[str, str] = {}
    """By kind: content hash of what was in force afterwards."""
    took_s: float = 0.0
    action: str = "fit"
    """`fit` for a training; anything else is what an operator did: `promote`, `revert`, `off`."""
    author: str = ""
    reason: str = ""
    """Of an operator."""


class LearningReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown on the page, printed by the command and answered by the API."""

    query: LearningQuery
    since_s: float
    """Unix time at which the period begins."""
    until_s: float
    complete: bool
    """Whether all decisions of the period were read, and not the newest ones only."""
    headline: str
    """Names stand between backticks, here and in what follows."""
    caveats: tuple[str, ...]
    """What to know before believing it."""
    figures: LearningFigures
    trainings: tuple[TrainingLine, ...]
    """Latest first."""


class LearningReports:
    """Reports for pages and scripts: made one at a time, and kept for a while.

    For the event loop's thread only.
    """

    def __init__(self, make: Callable[[LearningQuery], Awaitable[LearningReport]], *, clock: Clock) -> None:
        """Prepare; nothing is made yet.

        Args:
            make: Makes a report, away from the event loop.
            clock: Tells how old one is.
        """
        self._make = make
        self._clock = clock
        self._kept: OrderedDict[LearningQuery, tuple[float, LearningReport]] = OrderedDict()
        self._making: dict[LearningQuery, asyncio.Task[LearningReport]] = {}
        self._turn = asyncio.Semaphore(1)

    async def aclose(self) -> None:
        """Give up what is being made."""
        for task in (tasks := list(self._making.values())):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def of(self, query: LearningQuery) -> LearningReport:
        """A report: a few seconds old, or some minutes where a new one takes long.

        Callers that ask for the same one wait for the same work.

        Raises:
            ReportError: It could not be made.
        """
        made_at_s, kept = self._kept.get(query, (-math.inf, None))
        age_s = self._clock.monotonic_s() - made_at_s
        if kept is not None and age_s < KEEP_FOR_S:
            return kept
        task = self._making.get(query)
        if task is None:
            task = self._making[query] = asyncio.create_task(self._made(query))
            task.add_done_callback(self._forget(query))
        if kept is not None and age_s < STALE_FOR_S:
            done, _ = await asyncio.wait({task}, timeout=RENEWED_WITHIN_S)
            if not done:
                return kept
        return await asyncio.shield(task)  # A caller that leaves does not take it from the others.

    async def _made(self, query: LearningQuery) -> LearningReport:
        async with self._turn:
            report = await self._make(query)
        self._kept[query] = (self._clock.monotonic_s(), report)
        self._kept.move_to_end(query)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return report

    def _forget(self, query: LearningQuery) -> Callable[[asyncio.Task[LearningReport]], None]:
        def forget(task: asyncio.Task[LearningReport]) -> None:
            self._making.pop(query, None)
            if not task.cancelled():
                task.exception()  # It was raised to those who waited, if any still did.

        return forget
