"""Single flight, without HTTP: whoever is cut at whatever moment, nobody waits for nothing."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.caching.flights import Flights, Turn


class GivenUpError(Exception):
    """What ends a lead in these tests."""


async def fly(flights: Flights[str], made: list[int], number: int, *, fails: bool, takes: int) -> str:
    """One request: its own answer, or another's."""
    turn: str | Turn = Turn.LEAD
    if not flights.takes_off("key"):
        turn = await flights.wait("key", timeout_s=5)
    if not isinstance(turn, Turn):
        return turn
    assert turn is Turn.LEAD
    with flights.led("key") as lead:
        for _ in range(takes):
            await asyncio.sleep(0)
        if fails:
            raise GivenUpError
        made.append(number)
        lead.landed("answer")
    return "answer"


@settings(max_examples=400)
@given(
    plans=st.lists(
        st.tuples(st.booleans(), st.integers(1, 4), st.none() | st.integers(0, 12)), min_size=2, max_size=8
    ),
)
def test_one_answer_serves_all_whoever_fails_or_is_cut(plans: list[tuple[bool, int, int | None]]) -> None:
    """Each plan: whether it fails when it leads, how long it takes, and after how many turns it is cut."""

    async def run() -> None:
        flights: Flights[str] = Flights()
        made: list[int] = []
        tasks = [
            asyncio.create_task(fly(flights, made, number, fails=fails, takes=takes))
            for number, (fails, takes, _) in enumerate(plans)
        ]

        async def cut(task: asyncio.Task[str], after: int) -> None:
            for _ in range(after):
                await asyncio.sleep(0)
            task.cancel()

        cuts = [cut(t, after) for t, (_, _, after) in zip(tasks, plans, strict=True) if after is not None]
        await asyncio.gather(*cuts)
        async with asyncio.timeout(2):
            results = await asyncio.gather(*tasks, return_exceptions=True)
        assert len(flights) == 0
        assert all(result == "answer" for result in results if isinstance(result, str))
        assert not [r for r in results if isinstance(r, Exception) and not isinstance(r, GivenUpError)]
        whole = [number for number, (fails, _, after) in enumerate(plans) if not fails and after is None]
        assert bool(made) or not whole
        assert len(made) <= 1

    asyncio.run(run())


async def test_a_turn_that_comes_in_the_moment_of_being_cut_is_passed_on() -> None:
    flights: Flights[str] = Flights()
    assert flights.takes_off("key")
    cut, next_one = (asyncio.create_task(flights.wait("key", timeout_s=5)) for _ in range(2))
    await asyncio.sleep(0)
    with pytest.raises(GivenUpError), flights.led("key"):
        raise GivenUpError
    cut.cancel()
    assert await next_one is Turn.LEAD
    assert cut.cancelled()


async def test_the_wait_is_bounded() -> None:
    flights: Flights[str] = Flights()
    assert flights.takes_off("key")
    assert await flights.wait("key", timeout_s=0.01) is Turn.ALONE
