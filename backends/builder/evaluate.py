"""Ask a variant the checkable tasks and count what it gets right."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from statistics import fmean

import msgspec

from backends.builder.tasks import Item, check, items
from backends.models.manifest import TaskScore

__all__ = ("Answer", "Ask", "Score", "evaluate")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a variant said, and how long that was."""

    text: str
    completion_tokens: int


Ask = Callable[[str], Awaitable[Answer]]
"""Puts one user message to a variant, greedily, with `tasks.MAX_TOKENS`."""


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How a variant did."""

    families: dict[str, TaskScore]
    """Right answers by task family."""
    completion_tokens: float
    """Mean length of the answers."""

    @property
    def correct(self) -> int:
        """Right answers in all."""
        return sum(score.correct for score in self.families.values())

    @property
    def total(self) -> int:
        """Tasks in all."""
        return sum(score.total for score in self.families.values())

    @property
    def quality(self) -> float:
        """Share of right answers, in [0, 1]."""
        return self.correct / self.total

    @property
    def quality_se(self) -> float:
        """Binomial standard error of `quality`: sqrt(p (1 - p) / n)."""
        return math.sqrt(self.quality * (1.0 - self.quality) / self.total)


async def evaluate(
    ask: Ask,
    *,
    tasks: Sequence[Item] | None = None,
    concurrency: int = 8,
    on_answer: Callable[[float], None] = lambda _: None,
) -> Score:
    """Put every task to a variant.

    Args:
        ask: Puts one task; the first thing it raises ends the evaluation.
        tasks: By default the whole task set.
        concurrency: Tasks in flight together.
        on_answer: Told the share done after each answer.
    """
    tasks = items() if tasks is None else tasks
    slots = asyncio.Semaphore(concurrency)
    answers: list[tuple[Item, Answer]] = []

    async def put(item: Item) -> None:
        async with slots:
            answer = await ask(item.prompt)
        answers.append((item, answer))
        on_answer(len(answers) / len(tasks))

    try:
        async with asyncio.TaskGroup() as group:
            for item in tasks:
                group.create_task(put(item))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return Score(
        families={family: _count(answers, family) for family in dict.fromkeys(item.family for item in tasks)},
        completion_tokens=fmean(answer.completion_tokens for _, answer in answers),
    )


def _count(answers: Sequence[tuple[Item, Answer]], family: str) -> TaskScore:
    right = [check(item, answer.text) for item, answer in answers if item.family == family]
    return TaskScore(correct=sum(right), total=len(right))
