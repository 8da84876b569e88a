"""Who is let in, and when: the whole of the queue, without a clock, a loop or a lock.

**Places.** Every variant has places. A request is let in when one of the variants that may answer it has a free one,
and takes it. When the decision has picked a variant, the request moves to a place there; if there is none it keeps
the one it has, so that never more are at work than there are places, and moves as soon as one is free that nobody
waits for. So a full variant keeps only those waiting that have no other.

**Order.** A place that gets free goes to somebody who waits for that variant, whatever else would do for them too.
The higher tier comes first, but of `SHARE` places for which the tier below competes one is that tier's, so that it
does not starve; `flex` never goes before `priority`. Within a tier the variant's line shares its places fairly
between tenants; within a tenant it is first come, first served. So every tenant has its share of each variant.

**Exactly once.** Whoever offers a ticket owns its end: `leave` gives back what it holds, or takes it out of the
queue, and does nothing the second time. Every method returns the tickets whose wait has ended by it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping

from gateway.admission.line import Line
from gateway.admission.pace import Pace
from gateway.admission.queue import Queue
from gateway.admission.ranking import Ranking
from gateway.admission.types import AdmissionStats, Outcome, Pool, Ticket, Tier

__all__ = ("SHARE", "Core")

SHARE = 8
"""One of so many places goes to the tier below, where that competes for them."""


class Core:
    """For one thread. All moments are those of one clock, in seconds."""

    def __init__(self, *, max_queued: int) -> None:
        self._max_queued = max_queued
        self._places: Mapping[str, int] = {}
        self._taken: Counter[str] = Counter()
        self._lines: defaultdict[tuple[str, Tier], Line] = defaultdict(Line)
        self._queues: dict[Pool, Queue] = {}
        self._deadlines: Ranking[Ticket] = Ranking()
        self._astray: defaultdict[str, dict[Ticket, None]] = defaultdict(dict)
        """By the variant they are at, requests that hold another one's place."""
        self._turns: Counter[tuple[str, Tier]] = Counter()
        self._pace = Pace()
        self._arrived = 0
        self._open = True
        self._outcomes: Counter[Outcome] = Counter()
        self._waited_s: defaultdict[Tier, float] = defaultdict(float)

    def offer(self, ticket: Ticket, now_s: float) -> list[Ticket]:
        """Let a request in, turn it away, or have it wait.

        It is let in without a place where no variant of its pool can answer at all: waiting would not help.
        """
        self._arrived += 1
        ticket.number, ticket.offered_s = self._arrived, now_s
        able = ticket.pool & self._places.keys()
        if not able:
            return [self._end(ticket, Outcome.ADMITTED, now_s)]
        freest = max(able, key=lambda name: (self._free(name), name))
        if self._free(freest) > 0:
            self._seat(ticket, freest)
            return [self._end(ticket, Outcome.ADMITTED, now_s)]
        if not self._open:
            return [self._end(ticket, Outcome.CLOSING, now_s)]
        return self._queue(ticket, now_s)

    def sent(self, ticket: Ticket, variant: str, now_s: float) -> list[Ticket]:
        """A request that was let in is sent to a variant."""
        if ticket.seat is None:
            return []
        assert ticket.at is not None
        self._astray[ticket.at].pop(ticket, None)
        ticket.at = variant
        if variant == ticket.seat:
            return []
        if self._free(variant) <= 0:
            self._astray[variant][ticket] = None
            return []
        return self._fill([self._move(ticket, variant)], now_s)

    def leave(self, ticket: Ticket, now_s: float) -> list[Ticket]:
        """A request is over, wherever it was; does nothing for one that has left before or was turned away."""
        if ticket.outcome is None:
            return [self._take_out(ticket, Outcome.CANCELLED, now_s)]
        if ticket.seat is None:
            return []
        assert ticket.at is not None
        seat, ticket.seat = ticket.seat, None
        self._taken[seat] -= 1
        self._astray[ticket.at].pop(ticket, None)
        self._pace.learn(ticket, held_s=now_s - ticket.ended_s)
        return self._fill([seat], now_s)

    def expire(self, now_s: float) -> list[Ticket]:
        """Turn away those whose deadline is over."""
        ended = list[Ticket]()
        while (next_s := self.next_deadline_s) is not None and next_s <= now_s:
            first = self._deadlines.first()
            assert first is not None
            ended.append(self._take_out(first[0], Outcome.EXPIRED, now_s))
        return ended

    def arrange(self, places: Mapping[str, int], now_s: float) -> list[Ticket]:
        """From now on there are these places; a variant that is left out cannot answer."""
        self._places = places
        in_vain = [pool for pool in self._queues if not pool & places.keys()]
        ended = [
            self._take_out(ticket, Outcome.ADMITTED, now_s)
            for pool in in_vain
            for ticket in self._queues[pool].tickets()
        ]
        return ended + self._fill(places, now_s)

    def close(self, now_s: float) -> list[Ticket]:
        """Turn away all that wait; from now on nobody waits any more."""
        self._open = False
        waiting = [ticket for queue in self._queues.values() for ticket in queue.tickets()]
        return [self._take_out(ticket, Outcome.CLOSING, now_s) for ticket in waiting]

    @property
    def next_deadline_s(self) -> float | None:
        """When `expire` has something to do; None where nobody waits."""
        first = self._deadlines.first()
        return None if first is None else first[1]

    @property
    def stats(self) -> AdmissionStats:
        """As it stands."""
        depths = {(pool, tier): queue.depth(tier) for pool, queue in self._queues.items() for tier in Tier}
        return AdmissionStats(
            waiting={key: depth for key, depth in depths.items() if depth},
            running=+self._taken,
            places=dict(self._places),
            outcomes=dict(self._outcomes),
            waited_s=dict(self._waited_s),
        )

    def _free(self, variant: str) -> int:
        return self._places.get(variant, 0) - self._taken[variant]

    def _seat(self, ticket: Ticket, variant: str) -> None:
        self._taken[variant] += 1
        ticket.seat = ticket.at = variant
        self._lines[variant, ticket.tier].serve(ticket.tenant, self._pace.cost_s(ticket) / ticket.weight)

    def _end(self, ticket: Ticket, outcome: Outcome, now_s: float) -> Ticket:
        ticket.outcome, ticket.ended_s = outcome, now_s
        self._outcomes[outcome] += 1
        self._waited_s[ticket.tier] += now_s - ticket.offered_s
        return ticket

    def _queue(self, ticket: Ticket, now_s: float) -> list[Ticket]:
        """Have it wait, if it may and if that makes sense."""
        queue = self._queues.get(ticket.pool) or Queue()
        ahead, rate = queue.ahead(ticket), self._pace.rate(ticket, self._places)
        ticket.retry_after_s, ended = (ahead + 1) / rate, list[Ticket]()
        if now_s + ahead / rate >= ticket.deadline_s:
            return [self._end(ticket, Outcome.TOO_LATE, now_s)]
        if len(queue) >= self._max_queued:
            ended = [self._make_way(ticket, queue, now_s)]
        if ticket.outcome is None:
            queue.add(ticket)
            self._queues[ticket.pool] = queue
            self._deadlines.put(ticket, ticket.deadline_s)
            for variant in ticket.pool:
                self._lines[variant, ticket.tier].join(ticket.tenant)
        return ended

    def _make_way(self, ticket: Ticket, queue: Queue, now_s: float) -> Ticket:
        """Of a full queue: the one that has to leave, or the newcomer."""
        if ticket.tier is Tier.PRIORITY and (flex := queue.last_flex()) is not None:
            return self._take_out(flex, Outcome.PREEMPTED, now_s)
        if (crowder := queue.crowder(ticket)) is not None:
            return self._take_out(crowder, Outcome.CROWDED_OUT, now_s)
        shared = 0 < queue.count(ticket.tenant) < len(queue)
        return self._end(ticket, Outcome.CROWDED_OUT if shared else Outcome.FULL, now_s)

    def _take_out(self, ticket: Ticket, outcome: Outcome, now_s: float) -> Ticket:
        """End the wait of one in the queue."""
        queue = self._queues[ticket.pool]
        queue.remove(ticket)
        self._deadlines.discard(ticket)
        if not queue:
            del self._queues[ticket.pool]
        if queue.first(ticket.tier, ticket.tenant) is None:
            for variant in ticket.pool:
                if not self._waiting(variant, ticket.tier, ticket.tenant):
                    self._lines[variant, ticket.tier].leave(ticket.tenant)
        rate = self._pace.rate(ticket, self._places)
        ticket.retry_after_s = (queue.ahead(ticket) + 1) / rate if rate else 0.0
        return self._end(ticket, outcome, now_s)

    def _fill(self, variants: Collection[str], now_s: float) -> list[Ticket]:
        """Give away the free places of these variants, and those that get free by it."""
        let_in, left = list[Ticket](), list(variants)
        while left:
            variant = left.pop()
            while self._free(variant) > 0:
                if (ticket := self._next(variant)) is not None:
                    self._seat(ticket, variant)
                    let_in.append(self._take_out(ticket, Outcome.ADMITTED, now_s))
                elif self._astray[variant]:
                    left.append(self._move(next(iter(self._astray[variant])), variant))
                else:
                    break
        return let_in

    def _move(self, ticket: Ticket, variant: str) -> str:
        """Have a request hold a place of the variant it is at; the one it held is free."""
        assert ticket.seat is not None
        self._astray[variant].pop(ticket, None)
        seat, ticket.seat = ticket.seat, variant
        self._taken[variant] += 1
        self._taken[seat] -= 1
        return seat

    def _next(self, variant: str) -> Ticket | None:
        """Whose the next place of a variant is."""
        tier = self._turn(variant)
        if tier is None:
            return None
        tenant = self._lines[variant, tier].first()
        assert tenant is not None
        return min(self._waiting(variant, tier, tenant), key=lambda ticket: ticket.number)

    def _turn(self, variant: str) -> Tier | None:
        """The tier whose turn it is."""
        highest = next((tier for tier in reversed(Tier) if self._lines[variant, tier]), None)
        if highest is None or highest is Tier.FLEX:
            return highest
        below = Tier(highest - 1)
        if not self._lines[variant, below]:
            return highest
        self._turns[variant, highest] += 1
        return highest if self._turns[variant, highest] % SHARE else below

    def _waiting(self, variant: str, tier: Tier, tenant: str) -> list[Ticket]:
        """The first of a tenant's requests of each pool that a variant belongs to."""
        firsts = (queue.first(tier, tenant) for pool, queue in self._queues.items() if variant in pool)
        return [first for first in firsts if first is not None]
