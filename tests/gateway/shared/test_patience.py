"""The bound in time of calls to Redis."""

from __future__ import annotations

import asyncio
import time

import pytest

from gateway.shared.patience import bounded


async def test_what_takes_too_long_is_broken_off_in_time() -> None:
    began_s = time.monotonic()
    with pytest.raises(TimeoutError):
        async with bounded(0.05):
            await asyncio.sleep(5)
    assert 0.05 <= time.monotonic() - began_s < 1


async def test_an_answer_that_came_while_the_loop_stood_still_is_taken() -> None:
    answer = asyncio.get_running_loop().create_future()
    async with bounded(0.02):
        asyncio.get_running_loop().call_later(0.01, answer.set_result, 7)
        time.sleep(0.1)
        assert await answer == 7


async def test_time_that_this_process_spent_computing_does_not_count() -> None:
    async def compute(began_s: float) -> None:
        while time.monotonic() - began_s < 0.06:
            sum(range(10_000))
            await asyncio.sleep(0)

    async with bounded(0.05):
        await compute(time.monotonic())


async def test_a_loop_that_keeps_standing_still_gives_no_time_without_end() -> None:
    async def stand_still() -> None:
        async with bounded(0.02):
            for _ in range(100):
                time.sleep(0.05)
                await asyncio.sleep(0)

    began_s = time.monotonic()
    with pytest.raises(TimeoutError):
        await stand_still()
    assert time.monotonic() - began_s < 4, "all of it takes five seconds"


async def test_a_caller_that_is_cancelled_is_cancelled() -> None:
    async def call() -> None:
        async with bounded(5):
            await asyncio.sleep(5)

    task = asyncio.create_task(call())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_after_the_block_nothing_is_broken_off() -> None:
    async with bounded(0.01):
        pass
    await asyncio.sleep(0.03)
