"""Checkable task sets for calibration: the built-in one, and files of one JSON object a line.

A line is `{"id", "prompt", "family"?, "checks": […], "max_tokens"?}` with checks as a request has them, or a question
and its answer, `{"question", "answer"}`; an answer that ends in `#### NUMBER`, as GSM8K's do (Cobbe et al. 2021), is
right where the last number of what a variant says is that one.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from backends.builder.tasks import MAX_TOKENS, TASK_SET, HasJson, Item, items
from policies.checks import AnswerCheck, Check, Checks, PatternCheck, SchemaCheck, verify

__all__ = ("TaskFileError", "TaskItem", "TaskSet", "built_in", "read_tasks")

LONGEST_TOKENS = 256
"""Answers to a file's prompts end here, unless a line says otherwise."""

_Short = Annotated[str, Meta(min_length=1, max_length=64)]
_Prompt = Annotated[str, Meta(min_length=1, max_length=100_000)]
_NUMBER = re.compile(r"####\s*(-?[\d,]+(?:\.\d+)?)\s*$")
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


class TaskFileError(Exception):
    """A line of a task file cannot be used; the message names it."""


class TaskItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One task: a prompt, and how to tell whether the answer is right."""

    id: _Short
    prompt: _Prompt
    checks: Annotated[Checks, Meta(min_length=1)]
    family: _Short = "all"
    """What kind of task it is: a column of the table, and a tag of its requests."""
    max_tokens: Annotated[int, Meta(ge=1, le=32_768)] = LONGEST_TOKENS


class TaskSet(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks with a name."""

    name: str
    """Value of the tag `calibration`."""
    items: tuple[TaskItem, ...]

    def request_ids(self) -> dict[str, TaskItem]:
        """The tasks by the id their requests have in the log, in an order that mixes the families.

        An id is made of all that a task is, so that a changed task is a new one.
        """
        encoder = msgspec.json.Encoder(order="deterministic")
        ids = {hashlib.sha256(encoder.encode((self.name, item))).hexdigest()[:32]: item for item in self.items}
        return {f"cal-{key}": ids[key] for key in sorted(ids)}


class _Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    question: _Prompt
    answer: Annotated[str, Meta(min_length=1)]


def built_in() -> TaskSet:
    """The tasks by which cards are measured, judged in the same way."""
    found: list[TaskItem] = []
    for number, item in enumerate(items()):
        found.append(
            TaskItem(
                id=f"{item.family}-{number}",
                prompt=item.prompt,
                checks=(_check(item),),
                family=item.family.value,
                max_tokens=MAX_TOKENS,
            )
        )
    return TaskSet(name=TASK_SET, items=tuple(found))


def read_tasks(data: bytes, *, name: str) -> TaskSet:
    """The tasks of a file.

    Args:
        data: One JSON object a line.
        name: The file's, without its ending.

    Raises:
        TaskFileError: A line is no task, an id is there twice, or there is none at all.
    """
    found: dict[str, TaskItem] = {}
    for number, line in enumerate(data.splitlines(), start=1):
        if line.strip():
            item = _read(line, number)
            if item.id in found:
                raise TaskFileError(f"line {number}: id `{item.id}` is there twice")
            found[item.id] = item
    if not found:
        raise TaskFileError("the file holds no task")
    return TaskSet(name=_UNFIT.sub("-", name)[:64] or "tasks", items=tuple(found.values()))


def _read(line: bytes, number: int) -> TaskItem:
    try:
        item = _item(line, number)
        for check in item.checks:
            verify(check)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise TaskFileError(f"line {number}: {error}") from None
    return item


def _item(line: bytes, number: int) -> TaskItem:
    fields: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
    if "question" not in fields:
        return msgspec.convert(fields, TaskItem)
    asked = msgspec.convert(fields, _Question)
    return TaskItem(id=str(number), prompt=asked.question, checks=(_right_answer(asked.answer),))


def _right_answer(answer: str) -> Check:
    stated = _NUMBER.search(answer)
    if stated is None:
        return AnswerCheck(answer=answer)
    whole, _, part = stated[1].replace(",", "").partition(".")
    # Thousands may be set apart by commas; `18`, `18.` and `18.0` are one number, `1.18` and `180` are others.
    digits = ",?".join(re.escape(digit) for digit in whole)
    decimals = re.escape("." + part.rstrip("0")) + "0*" if part.strip("0") else r"(?:\.0*)?"
    return PatternCheck(pattern=rf"(?:^|[^\d.,]){digits}{decimals}\D*\z", name="number")


def _check(item: Item) -> Check:
    if not isinstance(item.expect, HasJson):
        return PatternCheck(pattern=item.expect.pattern, absent=item.expect.absent)
    fields = {name: {"anyOf": _same(value)} for name, value in item.expect.fields.items()}
    return SchemaCheck(schema={"properties": fields, "required": list(fields)}, place="anywhere")


def _same(value: str | int) -> list[dict[str, Any]]:
    """A value equal as text, whatever the case; JSON may quote a number."""
    letters = "".join(f"[{c.upper()}{c.lower()}]" if c.isalpha() else re.escape(c) for c in str(value))
    quoted = {"type": "string", "pattern": f"^{letters}$"}
    return [quoted] if isinstance(value, str) else [quoted, {"const": value}]
