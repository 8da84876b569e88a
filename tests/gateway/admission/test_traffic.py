"""What holds under any sequence of arrivals, decisions, endings, leavings, faults and time."""

from __future__ import annotations

from collections import Counter

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.admission.types import Outcome, Ticket, Tier
from tests.admission_world import core, ticket

PLACES = {"a": 1, "b": 2, "c": 1}
LONGEST = 4


class Traffic(RuleBasedStateMachine):
    """Overlapping pools in front of three variants."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.places = PLACES
        self.core = core(max_queued=LONGEST, **PLACES)
        self.tickets: list[Ticket] = []
        self.over: set[Ticket] = set()
        self.ended: Counter[Ticket] = Counter()

    @rule(
        tenant=st.sampled_from("xyz"),
        pool=st.sampled_from(["a", "b", "ab", "bc", "abc"]),
        tier=st.sampled_from(Tier),
        within_s=st.floats(0.1, 100),
        weight=st.sampled_from([0.5, 1.0, 4.0]),
        service_s=st.sampled_from([0.1, 1.0, 10.0]),
    )
    def arrives(
        self, *, tenant: str, pool: str, tier: Tier, within_s: float, weight: float, service_s: float
    ) -> None:
        deadline_s = self.now_s + within_s
        one = ticket(tenant, pool=pool, tier=tier, deadline_s=deadline_s, weight=weight, service_s=service_s)
        self.tickets.append(one)
        self.note(self.core.offer(one, self.now_s))

    @rule(number=st.integers(0, 100), variant=st.integers(0, 2))
    def is_sent(self, number: int, variant: int) -> None:
        at_work = [one for one in self.tickets if one.seat is not None]
        if at_work:
            one = at_work[number % len(at_work)]
            self.note(self.core.sent(one, sorted(one.pool)[variant % len(one.pool)], self.now_s))

    @rule(number=st.integers(0, 100))
    def is_over(self, number: int) -> None:
        if self.tickets:
            one = self.tickets[number % len(self.tickets)]
            self.over.add(one)
            self.note(self.core.leave(one, self.now_s))

    @rule(seconds=st.floats(0, 30))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.note(self.core.expire(self.now_s))

    @rule(places=st.sampled_from([PLACES, PLACES, {"a": 1, "b": 1}, {"a": 3, "b": 2, "c": 1}, {}]))
    def variants_change(self, places: dict[str, int]) -> None:
        self.places = places
        self.note(self.core.arrange(places, self.now_s))

    def note(self, ended: list[Ticket]) -> None:
        assert all(one.outcome is not None for one in ended)
        self.ended.update(ended)

    @invariant()
    def every_wait_ends_once(self) -> None:
        assert all(self.ended[one] == (one.outcome is not None) for one in self.tickets)
        assert not any(one.seat for one in self.over)
        assert all(one.outcome is Outcome.ADMITTED for one in self.tickets if one.seat)

    @invariant()
    def places_are_counted_as_they_are_held(self) -> None:
        held = Counter(one.seat for one in self.tickets if one.seat)
        assert self.core.stats.running == held
        assert self.core.stats.at_work == sum(held.values())

    @invariant()
    def queues_are_bounded_and_counted(self) -> None:
        waiting = Counter((one.pool, one.tier) for one in self.tickets if one.outcome is None)
        assert self.core.stats.waiting == waiting
        pools = Counter(one.pool for one in self.tickets if one.outcome is None)
        assert max(pools.values(), default=0) <= LONGEST

    @invariant()
    def no_place_is_free_while_somebody_waits_for_it(self) -> None:
        stats = self.core.stats
        free = {name for name, places in stats.places.items() if stats.running.get(name, 0) < places}
        assert not any(one.pool & free for one in self.tickets if one.outcome is None)

    @invariant()
    def nobody_waits_for_what_cannot_answer(self) -> None:
        assert all(one.pool & self.places.keys() for one in self.tickets if one.outcome is None)

    def teardown(self) -> None:
        for one in self.tickets:
            self.note(self.core.leave(one, self.now_s))
        assert self.core.stats.at_work == 0
        assert not self.core.stats.waiting
        assert self.core.next_deadline_s is None


TestTraffic = Traffic.TestCase
TestTraffic = pytest.mark.timeout(60)(TestTraffic)
