"""Who gets how much: shares by weight while all wait, and what a flood does to others, under a simulated clock."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from itertools import count

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from gateway.admission.ranking import Ranking
from gateway.admission.types import Ticket
from tests.admission_world import busy, core, ticket

PLACES, SERVICE_S, SPREAD = 4, 0.2, 0.5
Arrivals = list[tuple[float, str]]


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.5, 1.0, 2.0, 5.0]), st.lists(st.floats(0.1, 10.0), min_size=1, max_size=4)),
        min_size=2,
        max_size=5,
    )
)
def test_while_all_wait_shares_differ_from_weights_by_no_more_than_the_largest_requests(
    tenants: list[tuple[float, list[float]]],
) -> None:
    of = core()
    waiting = [
        ticket(str(number), weight=weight, service_s=costs[turn % len(costs)])
        for turn in range(200)
        for number, (weight, costs) in enumerate(tenants)
    ]
    leaving, now_s, served = busy(of, *waiting), 0.0, Counter[str]()
    left = Counter(one.tenant for one in waiting)
    largest = {str(number): max(costs) / weight for number, (weight, costs) in enumerate(tenants)}
    while min(left.values()) > 1:
        now_s += leaving.service_s
        (leaving,) = of.leave(leaving, now_s)
        left[leaving.tenant] -= 1
        served[leaving.tenant] += leaving.service_s / leaving.weight  # type: ignore[assignment]
        for one, most in largest.items():
            for other, its_most in largest.items():
                assert abs(served[one] - served[other]) <= most + its_most + 1e-6


def test_a_flood_leaves_the_others_within_half_as_much_again_of_what_they_have_alone() -> None:
    rng = np.random.default_rng(11)
    others = [(float(at_s), name) for name in ("a", "b", "c", "d") for at_s in rng.uniform(0, 400.0, size=600)]
    flood = [(float(at_s), "flood") for at_s in rng.uniform(0, 400.0, size=30_000)]
    alone = [took for name in ("a", "b", "c", "d") for took in simulated([a for a in others if a[1] == name])[name]]
    beside = simulated(others + flood)
    hurt = [took for name, each in beside.items() if name != "flood" for took in each]
    assert len(hurt) == len(others), "none of them was turned away"
    assert np.percentile(hurt, 95) <= 1.5 * np.percentile(alone, 95)


def simulated(arrivals: Arrivals) -> dict[str, list[float]]:
    """Seconds that the requests of each tenant took, waiting and answered; times vary as those of a model do."""
    rng, numbers = np.random.default_rng(5), count()
    of, took = core(max_queued=200, a=PLACES), defaultdict[str, list[float]](list)
    events: list[tuple[float, int, Ticket]] = []
    for at_s, tenant in arrivals:
        heapq.heappush(events, (at_s, next(numbers), ticket(tenant, service_s=SERVICE_S)))
    while events:
        now_s, _, one = heapq.heappop(events)
        if one.number:
            took[one.tenant].append(now_s - one.offered_s)
        for each in of.leave(one, now_s) if one.number else of.offer(one, now_s):
            if each.seat is not None:
                held_s = SERVICE_S * float(rng.lognormal(sigma=SPREAD))
                heapq.heappush(events, (now_s + held_s, next(numbers), each))
    return took


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.none() | st.integers(0, 5)), max_size=300))
def test_a_ranking_is_a_table_sorted_by_rank_and_by_who_was_put_first(steps: list[tuple[str, int | None]]) -> None:
    ranking, table = Ranking[str](), dict[str, int]()
    for key, rank in steps:
        table.pop(key, None)
        if rank is None:
            ranking.discard(key)
        else:
            ranking.put(key, rank)
            table[key] = rank
        first = min(table, key=lambda name: table[name], default=None)
        assert ranking.first() == (None if first is None else (first, table[first]))
        assert len(ranking) == len(table)
