"""Runs the checks of answers once their callers have them, and logs the scores.

An answer that broke off or whose caller left is not judged. One that ended at its token limit is: it is what the
caller got, and a limit is part of what was asked for.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal

import msgspec

from gateway.clock import Clock
from gateway.decisions.log import DecisionLog
from gateway.decisions.types import ObservationRow, ObservationSource
from gateway.learning.backlog import FairBacklog
from gateway.learning.checker import Checker
from gateway.routing.exchange import new_id
from gateway.routing.request import ValidRequest
from policies.checks import Check
from policies.signals import WEIGHTS

__all__ = ("MAX_CHOICES", "AnswerChecks", "CheckStats", "Judged", "Unchecked")

MAX_WAITING = 32_000_000
"""Characters of all answers that wait, and `ENTRY` for each."""

MAX_WAITING_PER_TENANT = 8_000_000
"""The same of one tenant's answers."""

ENTRY = 16_000
"""What an answer counts besides its text: there are at most 2,000 of them, 500 of one tenant."""

MAX_CHOICES = 16
"""Choices of one answer that are judged, the first ones."""

MAX_GIVEN_UP = 2
"""Once so many checks of an answer had to be given up, the rest are not tried."""

CLOSE_S = 2.0
"""For what is waiting when the process ends."""

Unchecked = Literal["busy", "choices", "length"]
"""Why an answer is not checked, or not as a whole: too many wait, it has too many choices, it is too long."""

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
    """Answers whose checks have not run yet."""
    scored: int
    """Checks that gave a score."""
    given_up: int
    """Checks that could not be carried out in time."""
    dropped: dict[str, int]
    """Checks that were not tried, or not on all of an answer, by reason: one of `Unchecked`, or `slow` where others
    of the same answer were given up."""


@dataclass(kw_only=True, eq=False)
class _Job:
    """What is left to do of one answer; keeps nothing of its request."""

    decision_id: str
    tenant: str
    checks: deque[tuple[Check, float]]
    """With their weights; the first one is under way."""
    texts: tuple[str, ...]
    scores: list[float | None] = field(default_factory=list)
    """Of the first check, one for each text so far."""
    given_up: int = 0

    @property
    def size(self) -> int:
        return ENTRY + sum(map(len, self.texts))


class AnswerChecks:
    """A bounded backlog of answers, worked off one check at a time, tenants in turns."""

    def __init__(self, *, log: DecisionLog, clock: Clock, checker: Checker) -> None:
        self._log = log
        self._clock = clock
        self._checker = checker
        self._waiting: FairBacklog[_Job] = FairBacklog(per_tenant=MAX_WAITING_PER_TENANT, total=MAX_WAITING)
        self._running: _Job | None = None
        self._scored = self._given_up = 0
        self._dropped = Counter({"busy": 0, "choices": 0, "length": 0, "slow": 0})
        self._work: asyncio.Task[None] | None = None

    @property
    def stats(self) -> CheckStats:
        """How the checks are doing."""
        return CheckStats(
            waiting=len(self._waiting) + (self._running is not None),
            scored=self._scored,
            given_up=self._given_up,
            dropped=dict(self._dropped),
        )

    def add(self, answer: Judged) -> tuple[Unchecked, ...]:
        """Queue an answer; returns at once, with what keeps it from being checked as a whole."""
        request = answer.request
        job = _Job(
            decision_id=answer.decision_id,
            tenant=request.tenant,
            checks=deque(_weighed(request)),
            texts=answer.texts[:MAX_CHOICES],
        )
        if not job.checks:
            return ()
        dropped = self._waiting.put(job.tenant, job, size=job.size)
        self._dropped["busy"] += sum(len(lost.checks) for lost in dropped)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._run())
        if job in dropped:
            return ("busy",)
        if len(answer.texts) > MAX_CHOICES:
            self._dropped["choices"] += len(job.checks)
            return ("choices",)
        return ()

    def too_long(self, request: ValidRequest) -> tuple[Unchecked, ...]:
        """Count an answer that is too long to be checked."""
        self._dropped["length"] += len(request.all_checks)
        return ("length",) if request.all_checks else ()

    async def aclose(self) -> None:
        """Score what is waiting as far as there is time, and end the process that does it."""
        if self._work is not None:
            await asyncio.wait({self._work}, timeout=CLOSE_S)
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
        await self._checker.aclose()

    async def _run(self) -> None:
        """Until nothing waits."""
        while (taken := self._waiting.take()) is not None:
            _, self._running = tenant, job = taken
            try:
                await self._step(job)
            except Exception:
                logger.exception("the answer of %s could not be checked", job.decision_id)
                job.checks.clear()
            finally:
                self._running = None
            if job.checks:
                self._waiting.give_back(tenant, job, size=job.size)

    async def _step(self, job: _Job) -> None:
        """Apply one check to one text. Several choices have one decision, and get one score: their mean."""
        check, weight = job.checks[0]
        text = job.texts[len(job.scores)]
        job.scores.append(await self._checker.score(check, text, tenant=job.tenant))
        if len(job.scores) < len(job.texts):
            return
        job.checks.popleft()
        known, job.scores = [score for score in job.scores if score is not None], []
        if known:
            self._record(job.decision_id, check, fmean(known), weight)
            return
        self._given_up += 1
        job.given_up += 1
        if job.given_up >= MAX_GIVEN_UP:
            self._dropped["slow"] += len(job.checks)
            job.checks.clear()

    def _record(self, decision_id: str, check: Check, score: float, weight: float) -> None:
        self._scored += 1
        wall_s = self._clock.wall_s()
        self._log.record(
            ObservationRow(
                observation_id=new_id("obs", wall_s=wall_s),
                decision_id=decision_id,
                created_at_s=wall_s,
                source=ObservationSource.CHECK,
                name=check.name,
                score=score,
                weight=weight,
            )
        )


def _weighed(request: ValidRequest) -> Iterator[tuple[Check, float]]:
    """The checks with their weights, each under a name of its own: there is one score for each name."""
    names = Counter[str]()
    for check in request.checks:
        names[check.name] += 1
        again = names[check.name]
        named = check if again == 1 else msgspec.structs.replace(check, name=f"{check.name[:61]}#{again}")
        yield named, WEIGHTS["check"]
    if request.form is not None:
        yield request.form, WEIGHTS["form"]
