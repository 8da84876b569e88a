"""Who is let in, who waits and who is turned away, under a clock that the test sets."""

from __future__ import annotations

from collections import Counter

import pytest

from gateway.admission.core import SHARE
from gateway.admission.types import Outcome, Tier
from tests.admission_world import busy, core, ended, order, ticket


def test_with_room_nobody_waits() -> None:
    of = core(a=2)
    assert [of.offer(ticket(), 0.0)[0].outcome for _ in range(2)] == [Outcome.ADMITTED] * 2
    assert of.offer(ticket(), 0.0) == []


def test_the_more_urgent_go_first_and_each_tier_in_its_order() -> None:
    of = core()
    flex, first, second, urgent = ticket(tier=Tier.FLEX), ticket(), ticket(), ticket(tier=Tier.PRIORITY)
    assert order(of, busy(of, flex, first, second, urgent)) == [urgent, first, second, flex]


@pytest.mark.parametrize(("upper", "lower"), [(Tier.PRIORITY, Tier.DEFAULT), (Tier.DEFAULT, Tier.FLEX)])
def test_a_tier_has_its_small_share_of_the_places_under_the_one_above(upper: Tier, lower: Tier) -> None:
    of = core()
    above, below = [ticket(tier=upper) for _ in range(100)], [ticket(tier=lower) for _ in range(100)]
    tiers = Counter(one.tier for one in order(of, busy(of, *above, *below))[: 10 * SHARE])
    assert tiers == {upper: 10 * (SHARE - 1), lower: 10}


def test_flex_never_goes_before_priority_however_long_it_waits() -> None:
    of = core()
    flex, urgent = [ticket(tier=Tier.FLEX)], [ticket(tier=Tier.PRIORITY) for _ in range(5 * SHARE)]
    assert order(of, busy(of, *flex, *urgent), 1e9) == [*urgent, *flex]


def test_tenants_share_by_weight() -> None:
    of = core()
    heavy, light = [ticket("heavy", weight=3.0) for _ in range(60)], [ticket("light") for _ in range(60)]
    served = Counter(one.tenant for one in order(of, busy(of, *heavy, *light))[:40])
    assert abs(served["heavy"] - 30) <= 1


def test_shares_are_of_seconds_and_not_of_requests() -> None:
    of = core()
    large, small = (
        [ticket("large", service_s=10.0) for _ in range(20)],
        [ticket("small", service_s=1.0) for _ in range(200)],
    )
    served = Counter[str]()
    for one in order(of, busy(of, *large, *small))[:110]:
        served[one.tenant] += int(one.service_s)
    assert abs(served["large"] - served["small"]) <= 10


def test_a_tenant_whose_requests_take_longer_than_predicted_pays_for_what_they_take() -> None:
    of = core()
    leaving = busy(of, *(ticket(name) for _ in range(2000) for name in ("long", "short")))
    held, now_s = Counter[str](), 0.0
    for turn in range(1500):
        took_s = 5.0 if leaving.tenant == "long" else 1.0
        now_s += took_s
        held[leaving.tenant] += int(took_s) if turn >= 500 else 0
        (leaving,) = of.leave(leaving, now_s)
    assert held["long"] / held["short"] == pytest.approx(1.0, abs=0.1)


def test_who_comes_late_is_next_and_not_behind_a_flood() -> None:
    of = core()
    first = busy(of, *(ticket("flood") for _ in range(500)))
    late = ticket("late")
    of.offer(late, 5.0)
    assert late in order(of, first, 5.0)[:2]


def test_shares_hold_while_a_higher_tier_takes_most_places() -> None:
    of = core()
    leaving = busy(of, *(ticket("flood") for _ in range(200)), *(ticket("other") for _ in range(40)))
    served = Counter[str]()
    for turn in range(80):
        of.offer(ticket("urgent", tier=Tier.PRIORITY), float(turn))
        if turn % 4 == 0:
            of.leave(leaving, float(turn))
        (leaving,) = of.leave(leaving, float(turn)) or [leaving]
        served[leaving.tenant] += 1
    assert served["other"] >= served["flood"] - 1


def test_shares_hold_while_another_variant_serves_much_faster() -> None:
    of = core(a=1, b=1)
    slow, fast = ticket("busy"), ticket("racer", pool="b")
    for one in (slow, fast, *(ticket("flood") for _ in range(100)), *(ticket("racer", pool="b") for _ in range(200))):
        of.offer(one, 0.0)
    for _ in range(20):
        of.offer(ticket("other"), 1.0)
    served = Counter[str]()
    for _ in range(20):
        for _ in range(5):
            (fast,) = of.leave(fast, 2.0)
        (slow,) = of.leave(slow, 2.0)
        served[slow.tenant] += 1
    assert served == {"flood": 10, "other": 10}


def test_a_full_queue_takes_the_room_from_who_fills_most() -> None:
    of = core(max_queued=3)
    flood = [ticket("flood") for _ in range(3)]
    busy(of, *flood)
    assert ended(of.offer(ticket("other"), 9.0)) == [(flood[-1], Outcome.CROWDED_OUT)]
    again = ticket("flood")
    assert ended(of.offer(again, 9.0)) == [(again, Outcome.CROWDED_OUT)]


def test_who_has_none_waiting_is_told_that_the_queue_is_full() -> None:
    of = core(max_queued=2)
    busy(of, ticket("x"), ticket("y"))
    third = ticket("z")
    assert ended(of.offer(third, 0.0)) == [(third, Outcome.FULL)]


def test_alone_a_tenant_may_fill_the_queue() -> None:
    of = core(max_queued=1)
    busy(of, ticket("t"))
    second = ticket("t")
    assert ended(of.offer(second, 0.0)) == [(second, Outcome.FULL)]


def test_priority_preempts_the_youngest_flex_that_waits_and_never_one_at_work() -> None:
    of = core(max_queued=2)
    running, old, young = (ticket("x", tier=Tier.FLEX) for _ in range(3))
    for one in (running, old, young):
        of.offer(one, 0.0)
    assert ended(of.offer(ticket("y", tier=Tier.PRIORITY), 2.0)) == [(young, Outcome.PREEMPTED)]
    assert (running.outcome, old.outcome) == (Outcome.ADMITTED, None)


def test_flex_drives_out_nobody_but_flex() -> None:
    of = core(max_queued=2)
    busy(of, ticket("x"), ticket("x"))
    flex = ticket("y", tier=Tier.FLEX)
    assert ended(of.offer(flex, 0.0)) == [(flex, Outcome.FULL)]


def test_what_cannot_be_in_time_is_told_so_at_once_and_when_to_come_back() -> None:
    of = core()
    busy(of, *(ticket() for _ in range(20)))
    late = ticket(deadline_s=5.0)
    assert ended(of.offer(late, 0.0)) == [(late, Outcome.TOO_LATE)]
    assert late.retry_after_s == pytest.approx(21.0)
    assert of.offer(ticket(deadline_s=30.0), 0.0) == []
    assert of.offer(ticket("other", deadline_s=5.0), 0.0) == [], "its share is served before the others' backlog"


def test_the_measured_pace_decides_what_is_too_late() -> None:
    of = core()
    order(of, busy(of, *(ticket() for _ in range(50))), held_s=0.1)
    busy(of, *(ticket() for _ in range(20)), now_s=100.0)
    assert of.offer(ticket(deadline_s=105.0), 100.0) == [], "twenty at a tenth of a second each"


def test_time_runs_out_in_the_queue() -> None:
    of = core()
    short, long = ticket(deadline_s=1.0), ticket(deadline_s=9.0)
    busy(of, short, long)
    assert of.next_deadline_s == 1.0
    assert ended(of.expire(1.5)) == [(short, Outcome.EXPIRED)]
    assert long.outcome is None


def test_closing_sends_everybody_away_and_lets_in_only_who_need_not_wait() -> None:
    of = core(a=1, b=1)
    one, other = ticket(), ticket()
    busy(of, one, other)
    assert {t.outcome for t in of.close(0.0)} == {Outcome.CLOSING}
    assert of.offer(ticket(), 0.0)[0].outcome is Outcome.CLOSING
    assert of.offer(ticket(pool="b"), 0.0)[0].outcome is Outcome.ADMITTED


def test_whoever_nobody_could_answer_does_not_wait_for_it() -> None:
    of = core()
    one = ticket(pool="z")
    assert ended(of.offer(one, 0.0)) == [(one, Outcome.ADMITTED)]
    waiting = ticket()
    busy(of, waiting)
    assert ended(of.arrange({"b": 1}, 1.0)) == [(waiting, Outcome.ADMITTED)]
    assert of.leave(one, 2.0) == of.leave(waiting, 2.0) == []
    assert of.stats.running == {"a": 1}
