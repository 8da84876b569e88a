"""Putting the tasks to a variant, and the machine that it is measured on."""

import asyncio

import pytest

from backends.builder.evaluate import Answer, Score, evaluate
from backends.builder.machine import same_machine, this_machine
from backends.builder.tasks import Family, items
from backends.models.manifest import TaskScore


async def test_every_task_is_put_once_and_never_more_than_allowed_at_a_time() -> None:
    asked: list[str] = []
    running = most = 0

    async def ask(prompt: str) -> Answer:
        nonlocal running, most
        running += 1
        most = max(most, running)
        asked.append(prompt)
        await asyncio.sleep(0)
        running -= 1
        return Answer(text="The capital of France is Paris.", completion_tokens=7)

    shares: list[float] = []
    score = await evaluate(ask, concurrency=8, on_answer=shares.append)
    assert sorted(asked) == sorted(item.prompt for item in items())
    assert most == 8
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert score.families[Family.CAPITALS] == TaskScore(correct=1, total=20)
    assert (score.correct, score.total, score.completion_tokens) == (1, 120, 7.0)


async def test_what_a_variant_raises_ends_the_evaluation() -> None:
    async def ask(prompt: str) -> Answer:
        raise ConnectionResetError(prompt)

    with pytest.raises(ConnectionResetError):
        await evaluate(ask)


def test_the_standard_error_is_binomial() -> None:
    score = Score(
        families={"a": TaskScore(correct=60, total=60), "b": TaskScore(correct=30, total=60)}, completion_tokens=1
    )
    assert score.quality == 0.75
    assert score.quality_se == pytest.approx((0.75 * 0.25 / 120) ** 0.5)


def test_this_machine_is_always_the_same_one_and_no_other() -> None:
    machine = this_machine()
    assert same_machine(machine, this_machine())
    assert machine.cores >= 1
    assert machine.memory_bytes > 1 << 28
    assert machine.cpu
