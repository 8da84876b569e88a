"""One process's part of a budget, and the rule by which it grows."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.account import SPARE_SHARE, Account, Claim, Grant, Waiter
from gateway.ledger.money import MOST_NUSD, to_nusd, to_usd
from gateway.ledger.period import Period, period_at
from gateway.tenants.types import Spend

PERIOD = Period(tenant="law", period_s=60.0, number=7)
amounts = st.integers(0, 10_000)


def account(**fields: int) -> Account:
    return Account(period=PERIOD, **({"budget": 10_000} | fields))


@given(
    budget=amounts,
    others=amounts,
    base=amounts,
    used=st.floats(0, 1),
    needs=st.lists(amounts, max_size=8),
    spare=amounts,
)
def test_growth_never_leaves_the_budget_and_serves_every_need_that_fits_in_turn(
    budget: int, others: int, base: int, used: float, needs: list[int], spare: int
) -> None:
    room = int(base * used)
    claim = Claim(
        period=PERIOD, budget=budget, base=base, spent=base - room, room=room, needs=tuple(needs), spare=spare
    )
    growth = claim.growth(others)
    assert growth >= 0
    assert growth == 0 or others + base + growth <= budget
    free, met = max(0, budget - others - base) + room if others + base <= budget else 0, 0
    for need in needs:
        if met + need <= free:
            met += need
    if others + base <= budget:
        assert room + growth >= met


@given(steps=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["hold", "settle", "sync", "idle"]), amounts)))
def test_however_processes_hold_settle_and_draw_all_grants_stay_within_the_budget(
    steps: list[tuple[int, str, int]],
) -> None:
    book, accounts, held = [0, 0, 0], [account() for _ in range(3)], [[], [], []]  # type: ignore[var-annotated]
    for who, what, amount in steps:
        mine = accounts[who]
        if what == "hold" and mine.hold(amount):
            held[who].append(amount)
        elif what == "settle" and held[who]:
            hold = held[who].pop()
            mine.settle(hold, min(hold, amount))
        elif what == "idle":
            mine.used = False
        elif what == "sync":
            claim = mine.claim()
            others = sum(book) - book[who]
            grant = Grant(growth=claim.growth(others), others=others)
            book[who] = claim.base + grant.growth
            mine.grant(claim, grant, asked=())
        assert sum(book) <= 10_000
        assert all(a.spent + a.held <= a.granted <= row for a, row in zip(accounts, book, strict=True))


async def test_who_came_first_is_served_first_and_who_cannot_be_is_told_so() -> None:
    mine = account(granted=100)
    waiters = [Waiter(amount=amount, held=asyncio.Future()) for amount in (300, 900, 150)]
    mine.waiting = dict.fromkeys(waiters)
    assert not mine.hold(10), "somebody waits already"
    claim = mine.claim()
    mine.grant(claim, Grant(growth=claim.growth(9_500), others=9_500), asked=waiters)
    assert [waiter.held.result() for waiter in waiters] == [True, False, True]
    assert (mine.held, mine.waiting) == (450, {})


async def test_who_left_while_the_database_was_asked_is_held_nothing() -> None:
    mine = account()
    left = Waiter(amount=300, held=asyncio.Future())
    mine.waiting = {left: None}
    claim = mine.claim()
    mine.waiting.clear()
    mine.grant(claim, Grant(growth=300, others=0), asked=[left])
    assert (mine.held, mine.room, left.held.done()) == (0, 300, False)


def test_room_that_nobody_used_is_given_back_and_else_a_fiftieth_of_the_budget_is_kept() -> None:
    mine = account(granted=5_000, used=True)
    assert mine.claim().base == 10_000 // SPARE_SHARE
    mine.used = False
    assert mine.claim().base == 0


def test_what_was_spent_beyond_the_grant_is_claimed_as_spent() -> None:
    mine = account(granted=100)
    mine.take(100)
    mine.settle(100, 250)
    claim = mine.claim()
    assert (claim.base, claim.spent, claim.room) == (250, 250, 0)


@given(st.floats(0, 1e7))
def test_money_is_rounded_up_by_less_than_a_billionth(usd: float) -> None:
    assert -1e-6 <= to_usd(to_nusd(usd)) - usd <= 1e-9 + usd * 1e-15
    assert (to_nusd(1e300), to_nusd(-usd)) == (MOST_NUSD, 0)


def test_periods_are_the_same_for_everybody() -> None:
    budget = Spend(usd=1.0, period_s=3600.0)
    period = period_at("law", budget, now_s=7200.0)
    assert (period.number, period.began_s, period.ends_s) == (2, 7200.0, 10_800.0)
    assert period_at("law", budget, now_s=10_799.9) == period != period_at("law", budget, now_s=10_800.0)
