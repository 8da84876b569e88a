from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator

import pytest

from gateway.learning import checker as module
from gateway.learning.checker import Checker
from policies.checks import AnswerCheck, Check, PatternCheck, SchemaCheck

ENDLESS = SchemaCheck(
    schema={
        "$ref": "#/$defs/a0",
        "$defs": {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)} | {"a40": False},
    }
)


@pytest.fixture
async def checker() -> AsyncIterator[Checker]:
    checker = Checker()
    yield checker
    await checker.aclose()


async def test_checks_are_scored_one_after_another(checker: Checker) -> None:
    checks: list[Check] = [PatternCheck(pattern="a\nb"), AnswerCheck(answer="A B"), SchemaCheck(schema={})]
    scores = await asyncio.gather(*(checker.score(check, "a\nb", tenant="a") for check in checks))
    assert scores == [1.0, 1.0, 0.0]


async def test_a_pattern_that_backtracks_without_end_elsewhere_is_matched_here(checker: Checker) -> None:
    assert await checker.score(PatternCheck(pattern="(a+)+$"), "a" * 60 + "b", tenant="a") == 0.0


async def test_a_check_without_end_is_given_up_and_the_next_one_works(checker: Checker) -> None:
    began_s = time.monotonic()
    assert await checker.score(ENDLESS, "1", tenant="a") is None
    assert time.monotonic() - began_s < 5
    assert await checker.score(AnswerCheck(answer="a"), "a", tenant="a") == 1.0


async def test_the_event_loop_goes_on_while_a_check_takes_its_time(checker: Checker) -> None:
    await checker.score(AnswerCheck(answer="a"), "a", tenant="a")
    scoring = asyncio.create_task(checker.score(ENDLESS, "1", tenant="a"))
    longest_s, before_s = 0.0, time.monotonic()
    while not scoring.done():
        await asyncio.sleep(0.001)
        longest_s, before_s = max(longest_s, time.monotonic() - before_s), time.monotonic()
    assert longest_s < 0.25


async def test_a_check_that_was_abandoned_leaves_no_reply_for_the_next(checker: Checker) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await checker.score(ENDLESS, "1", tenant="a")
    assert await checker.score(AnswerCheck(answer="a"), "b", tenant="a") == 0.0


async def test_a_schema_that_lies_elsewhere_gives_no_score(checker: Checker) -> None:
    assert await checker.score(SchemaCheck(schema={"$ref": "file:///etc/hostname"}), "{}", tenant="a") is None


async def test_a_check_that_cannot_be_used_is_named_and_one_that_ends_the_process_is_refused(
    checker: Checker, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = await checker.verify(PatternCheck(pattern="("), tenant="a")
    assert fault is not None
    assert fault.field == "pattern"
    assert await checker.verify(PatternCheck(pattern="a"), tenant="a") is None
    monkeypatch.setattr(module, "_ARGV", (sys.executable, "-c", "input()"))
    await checker.aclose()
    ended = await checker.verify(PatternCheck(pattern="a"), tenant="a")
    assert ended is not None
    assert "processor time" in ended.message


async def test_a_check_passes_where_there_is_no_process_to_verify_it(
    checker: Checker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ARGV", ("/nonexistent",))
    assert await checker.verify(PatternCheck(pattern="("), tenant="a") is None


async def test_text_of_any_kind_and_length_arrives(checker: Checker) -> None:
    text = "\u2028\r\n\x00😀" * 50_000
    assert await checker.score(PatternCheck(pattern="😀$"), text, tenant="a") == 1.0
