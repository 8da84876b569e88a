"""Runs the checks of answers once their callers have them, and logs the scores.

An answer that broke off or whose caller left is not judged. One that ended at its token limit is: it is what the
caller got, and a limit is part of what was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from statistics import fmean

import msgspec

from gateway.clock import Clock
from gateway.decisions.log import DecisionLog
from gateway.decisions.types import ObservationRow, ObservationSource
from gateway.learning.checker import Checker
from gateway.routing.exchange import new_id
from gateway.routing.request import ValidRequest
from policies.checks import Check
from policies.signals import WEIGHTS

__all__ = ("AnswerChecks", "CheckStats", "Judged")

MAX_WAITING = 1000
CLOSE_S = 2.0
"""For what is waiting when the process ends."""

logger = logging.getLogger(__name__)


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is to be judged; gone from memory with its last judgement."""

    decision_id: str
    request: ValidRequest
    texts: tuple[str, ...]
    """One per choice, at least one."""


class CheckStats(msgspec.Struct, frozen=True, kw_only=True):
    """How the checks are doing."""

    waiting: int
    scored: int
    given_up: int
    """Checks that could not be carried out in time."""
    dropped: int
    """Answers that were not checked because too many were waiting."""


class AnswerChecks:
    """A bounded queue of answers, worked off one by one."""

    def __init__(self, *, log: DecisionLog, clock: Clock, checker: Checker) -> None:
        self._log = log
        self._clock = clock
        self._checker = checker
        self._waiting: asyncio.Queue[Judged] = asyncio.Queue(MAX_WAITING)
        self._scored = self._given_up = self._dropped = 0
        self._work: asyncio.Task[None] | None = None

    @property
    def stats(self) -> CheckStats:
        """How the checks are doing."""
        return CheckStats(
            waiting=self._waiting.qsize(), scored=self._scored, given_up=self._given_up, dropped=self._dropped
        )

    def add(self, answer: Judged) -> None:
        """Have an answer checked; returns at once."""
        try:
            self._waiting.put_nowait(answer)
        except asyncio.QueueFull:
            self._dropped += 1
            return
        if self._work is None:
            self._work = asyncio.create_task(self._run())

    async def aclose(self) -> None:
        """Score what is waiting as far as there is time, and end the process that does it."""
        if self._work is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._waiting.join(), CLOSE_S)
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
        await self._checker.aclose()

    async def _run(self) -> None:
        while True:
            answer = await self._waiting.get()
            try:
                for check, weight in _weighed(answer.request):
                    await self._score(answer, check, weight)
            except Exception:
                logger.exception("the answer of %s could not be checked", answer.decision_id)
            finally:
                self._waiting.task_done()

    async def _score(self, answer: Judged, check: Check, weight: float) -> None:
        """Several choices have one decision, and get one score: their mean."""
        scores = [await self._checker.score(check, text) for text in answer.texts]
        known = [score for score in scores if score is not None]
        if not known:
            self._given_up += 1
            return
        wall_s = self._clock.wall_s()
        self._scored += 1
        self._log.record(
            ObservationRow(
                observation_id=new_id("obs", wall_s=wall_s),
                decision_id=answer.decision_id,
                created_at_s=wall_s,
                source=ObservationSource.CHECK,
                name=check.name,
                score=fmean(known),
                weight=weight,
            )
        )


def _weighed(request: ValidRequest) -> Iterator[tuple[Check, float]]:
    for check in request.checks:
        yield check, WEIGHTS["check"]
    if request.form is not None:
        yield request.form, WEIGHTS["form"]
