"""Whose place a request holds, where pools overlap and decisions pick full variants."""

from __future__ import annotations

from gateway.admission.types import Outcome
from tests.admission_world import core, ended, ticket


def test_a_busy_pinned_variant_holds_up_no_other() -> None:
    of = core(a=1, b=1)
    pinned = [ticket(pool="a") for _ in range(3)]
    for one in pinned:
        of.offer(one, 0.0)
    free, both = ticket(pool="b"), ticket(pool="ab")
    assert of.offer(free, 0.0) == [free]
    assert of.offer(both, 0.0) == []
    assert of.leave(free, 1.0) == [both]
    assert of.leave(pinned[0], 1.0) == [pinned[1]]


def test_decisions_that_all_pick_one_variant_send_it_no_more_than_the_pool_has_places() -> None:
    of = core(a=2, b=2)
    requests = [ticket(pool="ab") for _ in range(40)]
    for one in requests:
        for let_in in of.offer(one, 0.0):
            of.sent(let_in, "a", 0.0)
    assert sum(one.outcome is Outcome.ADMITTED for one in requests) == 4
    assert of.stats.running == {"a": 2, "b": 2}


def test_a_request_moves_to_a_place_of_the_variant_that_was_picked() -> None:
    of = core(a=2, b=2)
    one, pinned = ticket(pool="ab"), [ticket(pool="b") for _ in range(2)]
    of.offer(one, 0.0)
    assert of.sent(one, "a", 0.0) == []
    for other in pinned:
        assert of.offer(other, 0.0) == [other]


def test_the_place_it_leaves_is_given_to_who_waits_for_it() -> None:
    of = core(a=1, b=1)
    one, pinned = ticket(pool="ab"), ticket(pool="b")
    of.offer(one, 0.0)
    assert one.seat == "b"
    assert of.offer(pinned, 0.0) == []
    assert of.sent(one, "a", 0.0) == [pinned]


def test_who_holds_another_variants_place_gives_it_back_once_its_own_has_one() -> None:
    of = core(a=1, b=1)
    at_a, astray = ticket(pool="a"), ticket(pool="ab")
    of.offer(at_a, 0.0)
    of.offer(astray, 0.0)
    of.sent(astray, "a", 0.0)
    pinned = ticket(pool="b")
    assert of.offer(pinned, 0.0) == [], "its place is taken by the one that is at `a`"
    assert of.leave(at_a, 1.0) == [pinned]
    assert (astray.seat, pinned.seat) == ("a", "b")


def test_a_pinned_request_is_not_passed_for_ever_by_those_who_may_go_anywhere() -> None:
    of = core(a=1, b=1)
    running = [ticket("flood", pool="ab") for _ in range(2)]
    for one in (*running, *(ticket("flood", pool="ab") for _ in range(100))):
        for let_in in of.offer(one, 0.0):
            of.sent(let_in, "a", 0.0)
    pinned, now_s = ticket("other", pool="a"), 0.0
    of.offer(pinned, now_s)
    for _ in range(4):
        now_s += 1.0
        let_in = of.leave(running.pop(0), now_s)
        running += let_in
        for one in let_in:
            of.sent(one, "a", now_s)
    assert pinned.outcome is Outcome.ADMITTED


def test_fewer_places_take_nobody_out_and_more_let_somebody_in() -> None:
    of = core(a=2)
    one, other, third = ticket(), ticket(), ticket()
    for each in (one, other, third):
        of.offer(each, 0.0)
    assert of.arrange({"a": 1}, 1.0) == []
    assert of.leave(one, 2.0) == []
    assert ended(of.arrange({"a": 2}, 3.0)) == [(third, Outcome.ADMITTED)]
