"""Ledgers of several processes over one database: never over, never lost, never waiting for long."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from gateway.clock import SYSTEM_CLOCK
from gateway.decisions.schema import ledger_grants
from gateway.errors import QuotaError, UnavailableError
from gateway.ledger.account import Claim
from gateway.ledger.book import LOST_AFTER_S, exchange, prune
from gateway.ledger.money import MOST_NUSD, to_nusd
from gateway.ledger.period import Period
from gateway.tenants.types import Tenant
from tests.decision_rows import sqlite_url
from tests.ledger_tools import engine_at, granted_nusd, ledgers, read, tenant


async def test_five_hundred_callers_of_twenty_tenants_over_three_processes_never_spend_a_cent_too_much(
    url: str,
) -> None:
    rng, refused, spent = random.Random(5), 0, dict[str, int]()
    tenants = [tenant(f"t{number}", usd=0.01 + number / 1000) for number in range(20)]

    async def call(ledger: object, of: Tenant) -> None:
        nonlocal refused
        for _ in range(3):
            usd = rng.random() * 0.004
            try:
                hold = await ledger.hold(of, usd)  # type: ignore[attr-defined]
            except QuotaError:
                refused += 1
                continue
            await asyncio.sleep(rng.random() * 0.02)
            cost = rng.choice([0.0, usd / 2, usd])
            hold.settle(cost)
            spent[of.id] = spent.get(of.id, 0) + to_nusd(cost)

    async with ledgers(url, count=3) as processes:
        await asyncio.gather(*(call(processes[n % 3], tenants[n % 20]) for n in range(500)))
        for of in tenants:
            assert to_nusd(sum(p.available_usd(of) or 0 for p in processes)) >= 0
            assert granted_nusd(url, of.id) <= to_nusd(of.budget.usd)  # type: ignore[union-attr]
    assert refused > 100
    for of in tenants:
        found = read(url, of)
        assert found.usd >= found.spent_usd == pytest.approx(spent[of.id] / 1e9, abs=1e-12)
        assert (found.held_usd, found.lost_usd) == (0.0, 0.0)
        assert found.spent_usd > 0.3 * found.usd, "processes share it; how well depends on who comes when"


def test_transactions_side_by_side_grant_a_budget_once(url: str) -> None:
    engine = engine_at(url)
    period = Period(tenant="law", period_s=60.0, number=1)

    def draw(number: int) -> int:
        process, base = f"p{number}", 0
        for _ in range(10):
            claim = Claim(period=period, budget=1000, base=base, spent=base, room=0, needs=(7, 13))
            [grant] = exchange(engine, [claim], process=process, now_s=time.time())
            base += grant.growth
        return base

    with ThreadPoolExecutor(8) as pool:
        drawn = sum(pool.map(draw, range(8)))
    assert 994 <= drawn == granted_nusd(url) <= 1000
    engine.dispose()


async def test_a_request_within_the_grant_asks_nobody(url: str) -> None:
    async with ledgers(url, interval_s=60.0) as [ledger]:
        (await ledger.hold(tenant(), 0.001)).settle(0.001)
        waiting = ledger.hold(tenant(), 0.001)
        with pytest.raises(StopIteration) as done:
            waiting.send(None)  # It ends without ever giving the event loop back.
        done.value.value.settle(0.0)


async def test_without_a_budget_nothing_is_counted(url: str) -> None:
    free = Tenant(id="free")
    async with ledgers(url) as [ledger]:
        (await ledger.hold(free, 1e12)).settle(1e12)
        assert (ledger.available_usd(free), ledger.spent_usd(free)) == (None, None)
    assert granted_nusd(url, "free") == 0


async def test_a_refusal_says_what_there_is_what_is_needed_and_when_there_is_more(url: str) -> None:
    now = replace(SYSTEM_CLOCK, wall_s=lambda: 7_230.0)
    poor = tenant(usd=0.01, period_s=3600.0)
    async with ledgers(url, clock=now) as [ledger]:
        hold = await ledger.hold(poor, 0.008)
        with pytest.raises(QuotaError) as refused:
            await ledger.hold(poor, 0.003)
        assert refused.value.headers["Retry-After"] == "3570"
        for part in ("`law` has 0.002 USD left of its budget of 0.01 USD", "0.008 USD set aside", "up to 0.003 USD"):
            assert part in refused.value.message
        assert ledger.available_usd(poor) == pytest.approx(0.002)
        hold.settle(0.001)
        (await ledger.hold(poor, 0.009)).settle(0.0)


async def test_a_new_period_begins_with_the_whole_budget_and_old_calls_settle_in_theirs(url: str) -> None:
    now_s = [100.0]
    clock = replace(SYSTEM_CLOCK, wall_s=lambda: now_s[0])
    mine = tenant(usd=0.01, period_s=60.0)
    async with ledgers(url, clock=clock) as [ledger]:
        late = await ledger.hold(mine, 0.01)
        now_s[0] = 120.0
        (await ledger.hold(mine, 0.01)).settle(0.004)
        late.settle(0.007)
        now_s[0] = 60.0  # The clock was set back: the account of that time goes on.
        assert ledger.available_usd(mine) == pytest.approx(0.003)
    assert [read(url, mine, now_s=s).spent_usd for s in (60.0, 120.0, 180.0)] == [0.007, 0.004, 0.0]


async def test_a_caller_who_leaves_while_waiting_leaves_nothing_held(url: str) -> None:
    mine = tenant(usd=0.01)
    async with ledgers(url) as [ledger]:
        for pause_s in (0.0, 0.0, 0.0005, 0.001, 0.002, 0.004, 0.008):
            waiting = [asyncio.create_task(ledger.hold(mine, 0.002)) for _ in range(4)]
            await asyncio.sleep(pause_s)
            for task in waiting:
                task.cancel()
            for done in await asyncio.gather(*waiting, return_exceptions=True):
                if not isinstance(done, BaseException):
                    done.settle(0.0)
        assert ledger.available_usd(mine) == 0.01
        (await ledger.hold(mine, 0.01)).settle(0.0)


async def test_a_server_that_charges_more_than_it_can_is_on_record_and_ends_the_budget(url: str) -> None:
    mine = tenant(usd=0.01)
    async with ledgers(url) as [ledger]:
        hold = await ledger.hold(mine, 0.005)
        hold.settle(0.5)
        hold.settle(0.5)
        assert ledger.available_usd(mine) == 0.0
        with pytest.raises(QuotaError):
            await ledger.hold(mine, 0.0001)
    assert (read(url, mine).spent_usd, read(url, mine).left_usd) == (0.5, -0.49)


@pytest.mark.parametrize("usd", [1e300, -5.0])
async def test_an_absurd_charge_neither_pays_the_tenant_nor_stops_the_accounts_of_others(
    url: str, usd: float
) -> None:
    absurd, sound = tenant("absurd"), tenant("sound")
    async with ledgers(url, count=2) as processes:
        for ledger in processes:
            (await ledger.hold(absurd, 0.01)).settle(usd)
        await asyncio.sleep(0.1)
        (await processes[0].hold(sound, 0.5)).settle(0.5)
    assert read(url, sound).spent_usd == 0.5
    assert read(url, absurd).spent_usd == (0.0 if usd < 0 else pytest.approx(2 * MOST_NUSD / 1e9))


async def test_whatever_goes_wrong_with_the_database_it_is_asked_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("nobody expected this")

    async with ledgers(url) as [ledger]:
        with monkeypatch.context() as patched:
            patched.setattr("gateway.ledger.keeper.exchange", broken)
            with pytest.raises(UnavailableError):
                await ledger.hold(tenant(), 0.5)
        async with asyncio.timeout(5):
            while True:
                with contextlib.suppress(UnavailableError):
                    (await ledger.hold(tenant(), 0.5)).settle(0.0)
                    break
                await asyncio.sleep(0.02)


async def test_many_tenants_are_written_a_few_hundred_at_a_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ledger.keeper.MAX_BATCH", 7)
    many = [tenant(f"t{number}", usd=0.01) for number in range(40)]
    async with ledgers(url) as [ledger]:
        for hold in await asyncio.gather(*(ledger.hold(of, 0.01) for of in many)):
            hold.settle(0.01)
    assert [read(url, of).spent_usd for of in many[::13]] == [0.01] * 4


async def test_a_budget_that_is_raised_or_lowered_holds_from_the_next_request_on(url: str) -> None:
    async with ledgers(url) as [ledger]:
        (await ledger.hold(tenant(usd=0.01), 0.008)).settle(0.008)
        with pytest.raises(QuotaError):
            await ledger.hold(tenant(usd=0.01), 0.004)
        (await ledger.hold(tenant(usd=0.1), 0.004)).settle(0.004)
        with pytest.raises(QuotaError):
            await ledger.hold(tenant(usd=0.012), 0.004)


async def test_what_others_spent_is_known_from_the_start(url: str) -> None:
    mine = tenant(usd=0.01)
    async with ledgers(url) as [ledger]:
        (await ledger.hold(mine, 0.008)).settle(0.008)
    async with ledgers(url) as [ledger]:
        assert ledger.available_usd(mine) == pytest.approx(0.002)
        assert ledger.spent_usd(mine) == pytest.approx(0.008)


async def test_a_locked_database_stops_only_what_was_not_granted_and_nobody_waits_for_long(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "log.sqlite")
    closed, known = tenant("closed", usd=1.0), tenant("known", usd=1.0, without_ledger="last_known")
    async with ledgers(url) as [ledger]:
        for of in (closed, known):
            (await ledger.hold(of, 0.01)).settle(0.01)
        await asyncio.sleep(0.1)
        with closing(engine_at(url).connect()) as other:
            other.exec_driver_sql("BEGIN IMMEDIATE")
            began_s = time.monotonic()
            (await ledger.hold(closed, 0.015)).settle(0.0)
            for _ in range(50):
                with pytest.raises(UnavailableError, match="cannot be looked up") as away:
                    await ledger.hold(closed, 0.5)
                (await ledger.hold(known, 0.5)).settle(0.001)
            with pytest.raises(QuotaError):
                await ledger.hold(known, 0.97)
            (await ledger.hold(closed, 0.015)).settle(0.015)
            assert time.monotonic() - began_s < 10, "the first waited for the lock; had all, it would be a minute"
            assert (away.value.status, away.value.headers["Retry-After"]) == (503, "5")
            other.rollback()
        async with asyncio.timeout(8):
            while read(url, known).spent_usd < 0.0599:
                await asyncio.sleep(0.05)
        (await ledger.hold(closed, 0.5)).settle(0.0)
    assert read(url, closed).spent_usd == pytest.approx(0.025)


def test_a_process_that_died_is_told_apart_from_those_that_live(url: str) -> None:
    engine, mine = engine_at(url), tenant(usd=1e-6, period_s=1e9)
    period = Period(tenant="law", period_s=1e9, number=1)
    for process, at_s in (("dead", 1e9), ("lives", 1e9 + LOST_AFTER_S)):
        claim = Claim(period=period, budget=1000, base=300, spent=100, room=200)
        exchange(engine, [claim], process=process, now_s=at_s)
    found = read(url, mine, now_s=1e9 + LOST_AFTER_S + 1)
    figures = (found.spent_usd, found.held_usd, found.lost_usd, found.left_usd)
    assert figures == pytest.approx((2e-7, 2e-7, 2e-7, 4e-7))
    engine.dispose()


def test_the_same_claim_written_twice_counts_once(url: str) -> None:
    engine = engine_at(url)
    claim = Claim(
        period=Period(tenant="law", period_s=60.0, number=1), budget=1000, base=0, spent=0, room=0, needs=(9,)
    )
    for _ in range(2):
        exchange(engine, [claim], process="p", now_s=1.0)
    assert granted_nusd(url) == 9
    engine.dispose()


def test_periods_that_are_long_over_are_deleted(url: str) -> None:
    engine = engine_at(url)
    for number in (1, 50):
        period = Period(tenant="law", period_s=86_400.0, number=number)
        claim = Claim(period=period, budget=9, base=0, spent=0, room=0, needs=(9,))
        exchange(engine, [claim], process="p", now_s=1.0)
    prune(engine, now_s=51 * 86_400.0)
    with engine.connect() as connection:
        assert connection.scalars(sa.select(ledger_grants.c.number)).all() == [50]
    engine.dispose()


def test_a_replica_that_freezes_in_a_transaction_does_not_stop_the_others_for_long(url: str) -> None:
    if url.startswith("sqlite"):
        pytest.skip("processes of one machine freeze together, or are killed")
    engine, claim = (
        engine_at(url),
        Claim(period=Period(tenant="a", period_s=1.0, number=1), budget=1, base=0, spent=0, room=0),
    )
    with engine.connect() as frozen:
        frozen.execute(sa.text("SELECT pg_advisory_xact_lock(7206912)"))
        began_s = time.monotonic()
        with pytest.raises(OperationalError):
            exchange(engine, [msgspec.structs.replace(claim)], process="p", now_s=1.0)
        assert time.monotonic() - began_s < 4
    engine.dispose()
