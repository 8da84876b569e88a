"""Lets requests in as variants have room, the fair way: the awaiting shell around `queue.py`.

A place belongs to the pool until the decision has picked a variant, and then to that variant. A request is let in
when one of the variants that may answer it has a free place; those without a variant yet are counted as if they all
took one here. Where none of them can answer at all it is let in at once, for the decision to say why.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Collection

import msgspec

from backends.types import WorkerState
from gateway.admission.queue import Queue
from gateway.admission.settings import AdmissionSettings
from gateway.admission.tickets import Outcome, Pool, Ticket
from gateway.clock import Clock
from gateway.errors import ApiError, RateLimitError, RestartingError, UnavailableError
from gateway.routing.catalogue import Catalogue, VariantView
from gateway.routing.exchange import Exchange
from gateway.tenants.types import ServedTier

__all__ = ("Admission", "AdmissionStats")

LOOK_EVERY_S = 0.05
"""While somebody waits: whether time is up for one, or room was made by others than us."""

LONGEST_RETRY_S = 60.0
PROMPT_WORK = 0.15
"""Reading a token takes so much of what generating one does."""
ANSWER_TOKENS = 256
"""Where a request sets no limit."""

_ABLE = {WorkerState.WARM, WorkerState.LOADING, WorkerState.COLD}

_TIERS: dict[str, ServedTier] = {"priority": "priority", "flex": "flex"}
_MESSAGES = {
    Outcome.FULL: "the queue is full",
    Outcome.CROWDED_OUT: "the queue is full, and this tenant holds its share of it",
    Outcome.TOO_LATE: "the request could not be answered within its time: the wait is longer",
    Outcome.EXPIRED: "the request's time ran out in the queue",
    Outcome.PREEMPTED: "a more urgent request took the place in the queue; `flex` gives way",
}


class AdmissionStats(msgspec.Struct, frozen=True, kw_only=True):
    """How the queue is doing."""

    waiting: dict[tuple[Pool, ServedTier], int]
    """Requests in the queue."""
    at_work: int
    """Requests let in that have not ended."""
    outcomes: dict[Outcome, int]
    """Of all requests since the start."""


class Admission:
    """The queue in front of the variants of this process."""

    def __init__(self, settings: AdmissionSettings, *, catalogue: Catalogue, clock: Clock) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._clock = clock
        self._queue = Queue(max_queued=settings.max_queued, room=self._room)
        self._waiting: dict[Ticket, asyncio.Future[None]] = {}
        self._look: asyncio.TimerHandle | None = None

    @property
    def stats(self) -> AdmissionStats:
        """How the queue is doing."""
        return AdmissionStats(
            waiting=self._queue.depths(), at_work=len(self._queue.at_work), outcomes=dict(self._queue.outcomes)
        )

    async def enter(self, exchange: Exchange, pool: Pool) -> None:
        """Wait until one of these variants has room; the place is given back when the exchange ends.

        Raises:
            UnavailableError: The queue is full, or the request cannot be answered in time.
            RateLimitError: The queue is full of its own tenant's requests.
        """
        now_s = self._clock.monotonic_s()
        ticket = self._ticket(exchange, pool, now_s=now_s)
        exchange.on_end(lambda _: self._leave(ticket))
        self._tell(self._queue.offer(ticket, now_s=now_s))
        if ticket.outcome is None:
            await self._wait(ticket)
        if ticket.outcome is not Outcome.ADMITTED:
            raise self._refusal(ticket)

    def close(self) -> None:
        """Refuse whoever waits, and whoever comes from now on."""
        self._tell(self._queue.close())

    async def _wait(self, ticket: Ticket) -> None:
        settled = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        self._look_later()
        try:
            await settled
        finally:
            del self._waiting[ticket]
            self._queue.cancel(ticket)

    def _ticket(self, exchange: Exchange, pool: Pool, *, now_s: float) -> Ticket:
        request, limits = exchange.request, exchange.request.limits
        within_s = min(self._settings.max_wait_s, limits.ttft_s or math.inf, limits.latency_s or math.inf)
        answer_tokens = request.max_completion_tokens or ANSWER_TOKENS
        return Ticket(
            tenant=exchange.tenant.id,
            weight=exchange.tenant.weight,
            tier=_TIERS.get(request.service_tier or "", "default"),
            pool=pool,
            work=PROMPT_WORK * request.prompt_tokens + answer_tokens * request.choices,
            arrived_s=now_s,
            deadline_s=now_s + within_s,
            calling=exchange.calling,
        )

    def _leave(self, ticket: Ticket) -> None:
        """A request has ended: its place is for the next."""
        self._tell(self._queue.release(ticket, now_s=self._clock.monotonic_s()))

    def _tell(self, settled: list[Ticket]) -> None:
        for ticket in settled:
            waiting = self._waiting.get(ticket)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    def _look_later(self) -> None:
        if self._look is None and self._waiting:
            self._look = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look_now)

    def _look_now(self) -> None:
        self._look = None
        self._tell(self._queue.advance(now_s=self._clock.monotonic_s()))
        self._look_later()

    def _room(self, pool: Pool, at_work: Collection[Ticket]) -> float:
        views = [view for view in map(self._catalogue.view, pool) if _able(view)]
        if not views:
            return math.inf
        if len(at_work) < min(_places(view) for view in views):
            return 1.0  # However they are spread.
        calling: Counter[str] = Counter()
        undecided = 0
        for ticket in at_work:
            calling.update(ticket.calling)
            undecided += not any(ticket.calling.values()) and not pool.isdisjoint(ticket.pool)
        return sum(max(0, _places(view) - calling[view.variant.name]) for view in views) - undecided

    def _refusal(self, ticket: Ticket) -> ApiError:
        outcome = ticket.outcome
        assert outcome is not None
        if outcome in {Outcome.CLOSING, Outcome.CANCELLED}:
            return RestartingError()
        retry_after_s = min(LONGEST_RETRY_S, max(1.0, self._queue.wait_s(ticket)))
        if outcome is Outcome.CROWDED_OUT:
            return RateLimitError(_MESSAGES[outcome], code=outcome, retry_after_s=retry_after_s)
        return UnavailableError(_MESSAGES[outcome], code=outcome, retry_after_s=retry_after_s)


def _able(view: VariantView) -> bool:
    """Whether a variant answers, or would once it is started."""
    return view.status.state in _ABLE and view.shut_s is None


def _places(view: VariantView) -> int:
    """Places of a variant that are this process's to fill; another replica's requests have theirs."""
    return view.variant.max_running - view.others_in_flight
