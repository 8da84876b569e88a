"""Asks the reference variant what another one has answered, to see whether they agree.

Traffic never pays for it: the reference is asked only once nothing has been at work where it runs for a while, one
question at a time in each process, and a question is broken off as soon as a request comes. What it costs stands in
the log beside the score and is no tenant's. Texts are compared in memory and go nowhere.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import msgspec
import numpy as np

from backends.errors import BackendError
from gateway.clock import Clock
from gateway.decisions.log import DecisionLog
from gateway.decisions.types import ObservationRow, ObservationSource
from gateway.learning.backlog import FairBacklog
from gateway.learning.checks import Judged
from gateway.learning.reference import Answer, ask, choose, may_see
from gateway.routing.catalogue import Catalogue
from gateway.routing.exchange import Exchange, new_id
from gateway.routing.request import ValidRequest
from gateway.settings import TrainingSettings
from policies.signals import WEIGHTS, similarity

__all__ = ("Shadow", "ShadowStats")

MAX_WAITING = 32
MAX_WAITING_PER_TENANT = 16
PATIENCE_S = 120.0
"""A question that could not be put for so long is dropped."""

LOOK_EVERY_S = 0.25
"""How often to look whether there is traffic; requests of this process are noticed at once."""

QUIET_LOOKS = 4
"""So many looks in a row must find no traffic before a question is put."""

logger = logging.getLogger(__name__)


class ShadowStats(msgspec.Struct, kw_only=True):
    """How the questions are doing."""

    waiting: int = 0
    compared: int = 0
    broken_off: int = 0
    """Given up because a request came."""
    failed: int = 0
    """The reference gave no answer."""
    dropped: int = 0
    """Never put: too many were waiting, or for too long."""
    cost_usd: float = 0.0
    """Of all questions, those broken off included."""


@dataclass(frozen=True, kw_only=True)
class _Question:
    answer: Judged
    reference: str
    since_s: float
    """When it began to wait, on the monotonic clock."""


class Shadow:
    """A bounded backlog of questions to the reference, put one by one, tenants in turns."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        log: DecisionLog,
        clock: Clock,
        settings: TrainingSettings,
        rng: np.random.Generator,
    ) -> None:
        self._catalogue = catalogue
        self._log = log
        self._clock = clock
        self._settings = settings
        self._rng = rng
        self._waiting: FairBacklog[_Question] = FairBacklog(per_tenant=MAX_WAITING_PER_TENANT, total=MAX_WAITING)
        self._stats = ShadowStats()
        self._work: asyncio.Task[None] | None = None

    @property
    def stats(self) -> ShadowStats:
        """How the questions are doing."""
        return msgspec.structs.replace(self._stats, waiting=len(self._waiting))

    def samples(self, request: ValidRequest) -> bool:
        """Whether to ask the reference too; only requests that have one answer, decoded greedily."""
        share = self._settings.shadow_share
        greedy = request.choices == 1 and not request.payload.get("temperature") and "tools" not in request.payload
        return greedy and share > 0 and float(self._rng.random()) < share

    def add(self, answer: Judged, exchange: Exchange) -> None:
        """Have the reference asked too, if it may see the request and is not who answered; returns at once."""
        reference = choose(self._catalogue.views(), stated=self._settings.reference)
        if reference is None or reference == exchange.variant or not may_see(exchange.decision, reference):
            return
        question = _Question(answer=answer, reference=reference, since_s=self._clock.monotonic_s())
        self._stats.dropped += len(self._waiting.put(answer.request.tenant, question))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._run())

    async def aclose(self) -> None:
        """Break off what is asked and drop what waits."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    async def _run(self) -> None:
        """Until nothing waits."""
        while (taken := self._waiting.take()) is not None:
            _, question = taken
            try:
                if await self._quiet(question):
                    await self._put(question)
                else:
                    self._stats.dropped += 1
            except Exception:
                logger.exception("the reference could not be asked about %s", question.answer.decision_id)

    async def _quiet(self, question: _Question) -> bool:
        """Wait for a while without traffic; False where none came in time."""
        quiet = 0
        while quiet < QUIET_LOOKS:
            await asyncio.sleep(LOOK_EVERY_S)
            quiet = quiet + 1 if self._catalogue.idle(question.reference) else 0
            if self._clock.monotonic_s() - question.since_s > PATIENCE_S:
                return False
        return True

    async def _put(self, question: _Question) -> None:
        """Ask, and break off when traffic comes: ours cancels the task by itself, that of other processes shows."""
        judged, found = question.answer, Answer()
        exchange = Exchange(judged.request, clock=self._clock, log=self._log, request_id=judged.decision_id)
        asking = asyncio.create_task(ask(self._catalogue, question.reference, exchange, found))
        try:
            while not asking.done() and self._catalogue.idle(question.reference):
                await asyncio.wait({asking}, timeout=LOOK_EVERY_S)
        finally:
            asking.cancel()
            [ended] = await asyncio.gather(asking, return_exceptions=True)
            self._stats.cost_usd += found.cost_usd
        if isinstance(ended, asyncio.CancelledError):
            self._stats.broken_off += 1
        elif ended is not None or found.text is None:
            self._stats.failed += 1
            if not isinstance(ended, BackendError | None):
                raise ended
        else:
            self._record(question, found.text, found.cost_usd)

    def _record(self, question: _Question, text: str, cost_usd: float) -> None:
        self._stats.compared += 1
        wall_s = self._clock.wall_s()
        self._log.record(
            ObservationRow(
                observation_id=new_id("obs", wall_s=wall_s),
                decision_id=question.answer.decision_id,
                created_at_s=wall_s,
                source=ObservationSource.AGREEMENT,
                name=question.reference,
                score=similarity(question.answer.texts[0], text),
                weight=WEIGHTS["agreement"],
                cost_usd=cost_usd,
            )
        )
