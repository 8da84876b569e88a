"""The queue by itself, under a clock that the test sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.admission.queue import Queue
from gateway.admission.tickets import AGES_S, Outcome, Ticket
from gateway.tenants.types import ServedTier

ALL = frozenset({"a", "b"})


def queue(places: int = 1, *, max_queued: int = 1000) -> Queue:
    """One pool's worth of places, whoever asks."""
    return Queue(max_queued=max_queued, room=lambda _, at_work: places - len(at_work))


def ticket(
    tenant: str = "t",
    *,
    tier: ServedTier = "default",
    at_s: float = 0.0,
    within_s: float = 1e6,
    weight: float = 1.0,
    work: float = 1.0,
    pool: frozenset[str] = ALL,
) -> Ticket:
    return Ticket(
        tenant=tenant, weight=weight, tier=tier, pool=pool, work=work, arrived_s=at_s, deadline_s=at_s + within_s
    )


def waiting(of: Queue, *tickets: Ticket, now_s: float = 0.0) -> list[Ticket]:
    """Have these wait, behind one that is at work and is returned last."""
    busy = ticket("busy")
    of.offer(busy, now_s=now_s)
    for one in tickets:
        of.offer(one, now_s=now_s)
    return [*tickets, busy]


def order(of: Queue, busy: Ticket, *, now_s: float = 0.0) -> list[Ticket]:
    """In which those who wait are admitted, one after the other."""
    admitted = []
    leaving: Ticket | None = busy
    while leaving is not None:
        settled = of.release(leaving, now_s=now_s)
        leaving = next((t for t in settled if t.outcome is Outcome.ADMITTED), None)
        if leaving is not None:
            admitted.append(leaving)
    return admitted


def test_with_room_nobody_waits() -> None:
    assert all(queue(2).offer(ticket(), now_s=0.0)[0].outcome is Outcome.ADMITTED for _ in range(2))


def test_tiers_go_before_each_other_and_each_in_its_order() -> None:
    of = queue()
    flex, first, second, urgent = (
        ticket(tier="flex"),
        ticket(at_s=1.0),
        ticket(at_s=2.0),
        ticket(tier="priority", at_s=3.0),
    )
    *_, busy = waiting(of, flex, first, second, urgent)
    assert order(of, busy) == [urgent, first, second, flex]


def test_flex_rises_with_age_but_never_before_priority() -> None:
    of = queue()
    old, young, urgent = ticket("x", tier="flex"), ticket("y", at_s=AGES_S * 1.5), ticket(tier="priority", at_s=50.0)
    *_, busy = waiting(of, old, young, urgent)
    assert order(of, busy, now_s=AGES_S * 2.2) == [urgent, old, young]
    assert ticket(tier="flex").rank(1e9) == 1


def test_backlogged_tenants_share_by_weight() -> None:
    of = queue()
    heavy = [ticket("heavy", weight=3.0) for _ in range(60)]
    light = [ticket("light", weight=1.0) for _ in range(60)]
    *_, busy = waiting(of, *heavy, *light)
    served = Counter(t.tenant for t in order(of, busy)[:40])
    assert abs(served["heavy"] - 30) <= 1


def test_shares_are_of_work_not_of_requests() -> None:
    of = queue()
    large = [ticket("large", work=10.0) for _ in range(20)]
    small = [ticket("small", work=1.0) for _ in range(200)]
    *_, busy = waiting(of, *large, *small)
    served = Counter[str]()
    for one in order(of, busy)[:110]:
        served[one.tenant] += int(one.work)
    assert abs(served["large"] - served["small"]) <= 10


def test_who_comes_late_is_next_and_not_behind_a_flood() -> None:
    of = queue()
    *_, busy = waiting(of, *(ticket("flood") for _ in range(500)))
    late = ticket("late", at_s=5.0)
    of.offer(late, now_s=5.0)
    assert late in order(of, busy, now_s=5.0)[:2]


def test_a_full_queue_takes_the_place_from_who_has_most() -> None:
    of = queue(max_queued=3)
    *flood, _ = waiting(of, *(ticket("flood", at_s=float(n)) for n in range(3)))
    settled = of.offer(ticket("other", at_s=9.0), now_s=9.0)
    assert settled == [flood[-1]]
    assert flood[-1].outcome is Outcome.CROWDED_OUT
    again = ticket("flood", at_s=10.0)
    assert of.offer(again, now_s=10.0) == [again]
    assert again.outcome is Outcome.CROWDED_OUT


def test_alone_a_tenant_fills_the_queue() -> None:
    of = queue(max_queued=1)
    waiting(of, ticket("t"))
    assert of.offer(ticket("t"), now_s=0.0)[0].outcome is Outcome.FULL


def test_priority_preempts_the_youngest_flex_that_waits() -> None:
    of = queue(max_queued=2)
    old, young, _ = waiting(of, ticket("x", tier="flex"), ticket("x", tier="flex", at_s=1.0))
    assert of.offer(ticket("y", tier="priority", at_s=2.0), now_s=2.0) == [young]
    assert (old.outcome, young.outcome) == (None, Outcome.PREEMPTED)


def test_what_cannot_be_in_time_is_told_so_at_once() -> None:
    of = queue()
    *_, busy = waiting(of, *(ticket() for _ in range(20)))
    at_s, leaving = 0.0, busy
    for _ in range(10):
        at_s += 1.0
        leaving = of.release(leaving, now_s=at_s)[0]
    assert of.offer(ticket("t", at_s=at_s, within_s=5.0), now_s=at_s)[0].outcome is Outcome.TOO_LATE
    assert of.offer(ticket("t", at_s=at_s, within_s=30.0), now_s=at_s) == []
    assert of.offer(ticket("other", at_s=at_s, within_s=5.0), now_s=at_s) == [], "whose turn comes soon"


def test_time_runs_out_in_the_queue() -> None:
    of = queue()
    short, long, _ = waiting(of, ticket(within_s=1.0), ticket(within_s=9.0))
    assert of.advance(now_s=1.5) == [short]
    assert (short.outcome, long.outcome) == (Outcome.EXPIRED, None)


def test_closing_sends_everybody_away() -> None:
    of = queue()
    one, other, _ = waiting(of, ticket(), ticket())
    assert set(of.close()) == {one, other}
    assert of.offer(ticket(), now_s=0.0)[0].outcome is Outcome.CLOSING


def by_variant(pool: frozenset[str], at_work: Collection[Ticket]) -> float:
    """One place for each variant, taken by pinned tickets."""
    return len(pool) - sum(t.pool <= pool for t in at_work)


def test_a_busy_variant_does_not_hold_up_another() -> None:
    of = Queue(max_queued=10, room=by_variant)
    pinned = [ticket(pool=frozenset({"a"})) for _ in range(3)]
    for one in pinned:
        of.offer(one, now_s=0.0)
    free = ticket(pool=frozenset({"b"}))
    assert of.offer(free, now_s=0.0) == [free]
    assert of.release(pinned[0], now_s=1.0) == [pinned[1]]


class Traffic(RuleBasedStateMachine):
    """Any sequence of arrivals, endings, leavings and time."""

    PLACES = 3
    LONGEST = 5

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.queue = queue(self.PLACES, max_queued=self.LONGEST)
        self.tickets: list[Ticket] = []
        self.settled: Counter[int] = Counter()

    @rule(
        tenant=st.sampled_from("xyz"),
        tier=st.sampled_from(["priority", "default", "flex"]),
        within_s=st.floats(0.1, 100),
        weight=st.sampled_from([0.5, 1.0, 4.0]),
    )
    def arrives(self, tenant: str, tier: ServedTier, within_s: float, weight: float) -> None:
        one = ticket(tenant, tier=tier, at_s=self.now_s, within_s=within_s, weight=weight)
        self.tickets.append(one)
        self.note(self.queue.offer(one, now_s=self.now_s))

    @rule(number=st.integers(0, 100))
    def ends(self, number: int) -> None:
        at_work = sorted(self.queue.at_work, key=lambda t: t.arrived_s)
        if at_work:
            self.note(self.queue.release(at_work[number % len(at_work)], now_s=self.now_s))

    @rule(number=st.integers(0, 100))
    def leaves(self, number: int) -> None:
        if self.tickets:
            one = self.tickets[number % len(self.tickets)]
            before = one.outcome
            self.queue.cancel(one)
            if before is None:
                self.settled[id(one)] += 1

    @rule(seconds=st.floats(0, 30))
    def passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.note(self.queue.advance(now_s=self.now_s))

    def note(self, settled: list[Ticket]) -> None:
        for one in settled:
            assert one.outcome is not None
            self.settled[id(one)] += 1

    @invariant()
    def every_ticket_is_settled_once_or_waits(self) -> None:
        assert all(self.settled[id(t)] == (t.outcome is not None) for t in self.tickets)
        assert self.queue.waiting == sum(t.outcome is None for t in self.tickets)
        assert sum(self.queue.depths().values()) == self.queue.waiting

    @invariant()
    def bounds_hold_and_no_place_is_idle_while_somebody_waits(self) -> None:
        assert len(self.queue.at_work) <= self.PLACES
        assert self.queue.waiting <= self.LONGEST
        assert not self.queue.waiting or len(self.queue.at_work) == self.PLACES


TestTraffic = Traffic.TestCase
TestTraffic = pytest.mark.timeout(60)(TestTraffic)
