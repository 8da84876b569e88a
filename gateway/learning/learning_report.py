"""Whether routing learns: the figures of a period, what they say in words, and the latest trainings."""

from __future__ import annotations

import asyncio
import importlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
from sqlalchemy.engine import Engine

from gateway.clock import Clock
from gateway.learning.learning_words import caveats, headline
from gateway.learning.routed_log import read_routed
from policies.evaluation.learning_figures import LearningFigures, learning_figures

__all__ = (
    "LearningQuery",
    "LearningReport",
    "LearningReports",
    "ReadTrainings",
    "TrainingLine",
    "learning_report",
    "read_trainings",
)

KEEP_FOR_S = 15.0
"""A report is given again for so long: many open pages cost as much as one."""
MAX_KEPT = 32
MAX_TRAININGS = 10


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


class ReadTrainings(Protocol):
    """Reads the latest trainings, latest first; blocks."""

    def __call__(self, engine: Engine, *, limit: int = 20) -> Sequence[Any]:
        """Structs with at least the fields of `TrainingLine`."""
        ...


def read_trainings(engine: Engine, *, limit: int = 20) -> Sequence[Any]:
    """The latest trainings; none where this version does not record them."""
    try:
        module = importlib.import_module("gateway.learning.trainings")
    except ModuleNotFoundError:
        return ()
    found: Sequence[Any] = module.latest(engine, limit=limit)
    return found


def learning_report(
    engine: Engine, query: LearningQuery, *, now_s: float, trainings: ReadTrainings = read_trainings
) -> LearningReport:
    """Read the log and compute the figures; blocks for some seconds where the log is long.

    Raises:
        SQLAlchemyError: The database cannot be read.
    """
    since_s = now_s - query.period_s
    log = read_routed(engine, since_s=since_s, until_s=now_s, tenant=query.tenant, hint=query.hint)
    figures = learning_figures(log.requests, since_s=since_s, until_s=now_s)
    lines = [
        msgspec.convert(training, TrainingLine, from_attributes=True)
        for training in trainings(engine, limit=MAX_TRAININGS)
    ]
    return LearningReport(
        query=query,
        since_s=since_s,
        until_s=now_s,
        complete=log.complete,
        headline=headline(figures, period_s=query.period_s),
        caveats=caveats(figures, complete=log.complete),
        figures=figures,
        trainings=tuple(sorted(lines, key=lambda line: -line.created_at_s)),
    )


class LearningReports:
    """Reports for pages and scripts: made on a thread, one at a time, and kept for a while.

    For the event loop's thread only.
    """

    def __init__(self, engine: Engine, *, clock: Clock, trainings: ReadTrainings = read_trainings) -> None:
        self._engine = engine
        self._clock = clock
        self._trainings = trainings
        self._kept: OrderedDict[LearningQuery, tuple[float, LearningReport]] = OrderedDict()
        self._making: dict[LearningQuery, asyncio.Task[LearningReport]] = {}
        self._turn = asyncio.Semaphore(1)

    async def of(self, query: LearningQuery) -> LearningReport:
        """A report that is a few seconds old at most. Callers that ask for the same one wait for the same work.

        Raises:
            SQLAlchemyError: The database cannot be read.
        """
        kept = self._kept.get(query)
        if kept is not None and self._clock.monotonic_s() - kept[0] < KEEP_FOR_S:
            return kept[1]
        task = self._making.get(query)
        if task is None:
            task = self._making[query] = asyncio.create_task(self._made(query))
            task.add_done_callback(self._forget(query))
        return await asyncio.shield(task)  # A caller that leaves does not take it from the others.

    async def _made(self, query: LearningQuery) -> LearningReport:
        async with self._turn:
            now_s = self._clock.wall_s()
            report = await asyncio.to_thread(
                learning_report, self._engine, query, now_s=now_s, trainings=self._trainings
            )
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
