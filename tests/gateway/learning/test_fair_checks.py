"""Whose checks run next: one tenant's slow ones neither hold up nor push out another tenant's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from gateway.api.parse import parse_chat
from gateway.clock import SYSTEM_CLOCK
from gateway.decisions.log import DecisionLog
from gateway.decisions.types import ObservationRow, Row
from gateway.errors import RateLimitError
from gateway.learning import checker as checker_module
from gateway.learning import checks as module
from gateway.learning.checker import BusyError, Checker
from gateway.learning.checks import AnswerChecks, Judged
from gateway.learning.verifier import Verifier
from gateway.routing.request import ValidRequest
from policies.checks import PatternCheck, SchemaCheck
from tests.decision_rows import sqlite_url
from tests.gateways import HELLO, until

BRANCHES = {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)} | {"a40": False}
SLOW = {"type": "json_schema", "schema": {"$ref": "#/$defs/a0", "$defs": BRANCHES}}
LONG_S = 18.0
"""Half a second of a niced process may be many on a busy machine."""

QUICK = {"type": "regex", "pattern": "1"}


def request(tenant: str, *checks: object) -> ValidRequest:
    parsed = parse_chat(json.dumps(HELLO | {"checks": checks}).encode(), {})
    return msgspec.structs.replace(parsed, tenant=tenant)


def answer(tenant: str, number: int, *checks: object, texts: tuple[str, ...] = ("1",)) -> Judged:
    return Judged(decision_id=f"{tenant}{number}", request=request(tenant, *checks), texts=texts)


class World:
    """The checks of answers over a real process; the log takes rows and is never written."""

    def __init__(self, directory: Path) -> None:
        self.rows: list[Row] = []
        self.log = DecisionLog(sqlite_url(directory / "log.sqlite"), follow=self.rows.append)
        self.checks = AnswerChecks(log=self.log, clock=SYSTEM_CLOCK, checker=Checker())

    def scored(self) -> list[str]:
        return [row.decision_id for row in self.rows if isinstance(row, ObservationRow)]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    found = World(tmp_path)
    yield found
    await found.checks.aclose()


async def test_ten_slow_checks_of_one_tenant_delay_another_by_about_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    plain = world.checks._checker.score

    async def noted(check: object, text: str, *, tenant: str) -> float | None:
        asked.append(tenant)
        return await plain(check, text, tenant=tenant)  # type: ignore[arg-type]

    monkeypatch.setattr(world.checks._checker, "score", noted)
    for number in range(5):
        world.checks.add(answer("flood", number, SLOW, SLOW))
    await until(lambda: asked == ["flood"], within_s=LONG_S)
    world.checks.add(answer("shop", 0, QUICK))
    await until(lambda: world.scored() == ["shop0"], within_s=LONG_S)
    assert asked[:2] == ["flood", "shop"]


async def test_checks_of_one_answer_are_scored_in_its_order_and_each_once(world: World) -> None:
    world.checks.add(answer("a", 0, QUICK, QUICK | {"name": "again"}, texts=("1", "2")))
    world.checks.add(answer("b", 0, QUICK))
    await until(lambda: len(world.scored()) == 3)
    found = [(row.decision_id, row.name, row.score) for row in world.rows if isinstance(row, ObservationRow)]
    assert sorted(found) == [("a0", "again", 0.5), ("a0", "regex", 0.5), ("b0", "regex", 1.0)]


async def test_a_full_backlog_drops_the_flooders_answers_and_counts_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = module.ENTRY + 1
    monkeypatch.setattr(module, "MAX_WAITING", 6 * entry)
    monkeypatch.setattr(module, "MAX_WAITING_PER_TENANT", 5 * entry)
    checks = AnswerChecks(log=world.log, clock=SYSTEM_CLOCK, checker=world.checks._checker)
    taken = [checks.add(answer("flood", number, QUICK, QUICK | {"name": "other"})) for number in range(8)]
    assert taken == [()] * 5 + [("busy",)] * 3
    assert [checks.add(answer(name, 0, QUICK)) for name in ("b", "c", "d")] == [()] * 3
    assert checks.stats.dropped["busy"] == 2 * (3 + 2)
    await until(lambda: checks.stats.waiting == 0)
    assert sorted(set(world.scored())) == ["b0", "c0", "d0", "flood0", "flood1", "flood2"]


async def test_an_answer_whose_checks_are_given_up_twice_gets_no_further_ones(world: World) -> None:
    world.checks.add(answer("a", 0, SLOW, SLOW, QUICK, QUICK))
    await until(lambda: world.checks.stats.waiting == 0, within_s=LONG_S)
    stats = world.checks.stats
    assert (stats.given_up, stats.dropped["slow"], stats.scored) == (2, 2, 0)


async def test_who_waits_for_the_process_waits_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    checker, order = Checker(), list[str]()

    async def one(tenant: str) -> None:
        await checker.score(PatternCheck(pattern="a"), "a", tenant=tenant)
        order.append(tenant)

    await asyncio.gather(*(one(tenant) for tenant in "aaaabbc"))
    await checker.aclose()
    assert order == list("abcabaa")


async def test_one_tenant_cannot_have_more_than_its_share_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker_module, "MAX_WAITING_PER_TENANT", 2)
    checker = Checker()
    verifier, checks = Verifier(checker), [{"type": "regex", "pattern": f"a{number}"} for number in range(5)]
    asked = [verifier.verified(request(tenant, check)) for tenant in "ab" for check in checks]
    found = await asyncio.gather(*asked, return_exceptions=True)
    await checker.aclose()
    refused = [result for result in found if isinstance(result, RateLimitError)]
    assert [error.code for error in refused] == ["checks_busy"] * 5
    assert sum(isinstance(result, ValidRequest) for result in found) == 5


async def test_a_turn_that_is_not_taken_goes_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    checker, check = Checker(), SchemaCheck(schema=SLOW["schema"])  # type: ignore[arg-type]
    slow = asyncio.create_task(checker.score(check, "1", tenant="a"))
    waiting = [asyncio.create_task(checker.verify(PatternCheck(pattern="a"), tenant="a")) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    assert await waiting[1] is None
    waiting[1].cancel()
    assert await waiting[2] is None
    assert await slow is None
    await checker.aclose()


async def test_what_is_pushed_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker_module, "MAX_WAITING", 2)
    checker = Checker()
    asked = [checker.verify(PatternCheck(pattern="a"), tenant=tenant) for tenant in ("a", "a", "a", "b")]
    found = await asyncio.gather(*asked, return_exceptions=True)
    await checker.aclose()
    assert [type(result) for result in found] == [type(None), type(None), BusyError, type(None)]
