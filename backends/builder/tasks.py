"""Tasks whose answers a program can check: the measure of a variant's quality.

Six families of twenty items that tell small models apart. The answer is judged by what a caller could use: a fact is
named, a pattern is there, a JSON object parses and has the values.
"""

from __future__ import annotations

import json
from enum import StrEnum

import msgspec
import re2

from backends.builder import task_items

__all__ = ("MAX_TOKENS", "TASK_SET", "Family", "HasJson", "Item", "Matches", "check", "items")

TASK_SET = "checkable-1"
"""Name of the set; scores of different sets are not comparable."""

MAX_TOKENS = 48
"""Answers are cut after this many tokens."""

_NO_LETTER = r"[^\pL\pN\pM_]"
"""RE2's `\\w` and `\\b` know ASCII only."""


class Family(StrEnum):
    """What a task exercises."""

    CAPITALS = "capitals"
    ANTONYMS = "antonyms"
    EXTRACTION = "extraction"
    JSON = "json"
    TRIVIA = "trivia"
    STRINGS = "strings"


class Matches(msgspec.Struct, frozen=True, kw_only=True, tag="matches"):
    """The answer contains a match of a regular expression in RE2's syntax, and none of another one."""

    pattern: str
    absent: str | None = None


class HasJson(msgspec.Struct, frozen=True, kw_only=True, tag="json"):
    """The answer contains one JSON object, bare or fenced, with at least these fields and values."""

    fields: dict[str, str | int]


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One task."""

    family: Family
    key: str
    """What the task is about; no training prompt is about the same thing."""
    prompt: str
    """The user's message."""
    expect: Matches | HasJson


def check(item: Item, answer: str) -> bool:
    """Whether an answer is right. Pure; any text is a legal answer."""
    if isinstance(item.expect, HasJson):
        return _has_fields(answer, item.expect.fields)
    expect = item.expect
    return _found(expect.pattern, answer) and not (expect.absent and _found(expect.absent, answer))


def items() -> tuple[Item, ...]:
    """All items, family by family."""
    return (
        *(
            _fact(Family.CAPITALS, key, f"What is the capital of {key}?", (city,))
            for key, city in task_items.CAPITALS
        ),
        *(
            _fact(Family.ANTONYMS, key, f'What is the opposite of the word "{key}"?', opposites)
            for key, opposites in task_items.ANTONYMS
        ),
        *(
            _fact(Family.EXTRACTION, sentence, f"{sentence}\n{question}", (answer,))
            for sentence, question, answer in task_items.EXTRACTION
        ),
        *(_json_item(fields) for fields in task_items.JSON_OBJECTS),
        *(_fact(Family.TRIVIA, question, question, answers) for question, answers in task_items.TRIVIA),
        *(
            Item(family=Family.STRINGS, key=word, prompt=prompt.format(f'"{word}"'), expect=_matches(pattern))
            for word, prompt, pattern in task_items.STRINGS
        ),
    )


def _fact(family: Family, key: str, prompt: str, answers: tuple[str, ...]) -> Item:
    words = "|".join(re2.escape(answer) for answer in answers)
    pattern = rf"(?i)(?:^|{_NO_LETTER})(?:{words})(?:{_NO_LETTER}|$)"
    return Item(family=family, key=key, prompt=prompt, expect=Matches(pattern=pattern))


def _matches(pattern: str | tuple[str, str]) -> Matches:
    """Of a pattern, or of a pattern and what must not match."""
    if isinstance(pattern, str):
        return Matches(pattern=pattern)
    present, absent = pattern
    return Matches(pattern=present, absent=absent)


def _found(pattern: str, answer: str) -> bool:
    text = answer.encode("utf-8", "replace")  # A model may write half of a surrogate pair.
    return re2.search(pattern, text) is not None


def _json_item(fields: dict[str, str | int]) -> Item:
    names = " and ".join(f'"{name}"' for name in fields)
    values = " ".join(f"The {name} is {value}." for name, value in fields.items())
    return Item(
        family=Family.JSON,
        key=", ".join(map(str, fields.values())),
        prompt=f"Write a JSON object with the keys {names}. {values}",
        expect=HasJson(fields=fields),
    )


def _has_fields(answer: str, fields: dict[str, str | int]) -> bool:
    start = answer.find("{")
    if start < 0:
        return False
    try:
        found, _ = json.JSONDecoder().raw_decode(answer, start)
    except ValueError:
        return False
    return isinstance(found, dict) and all(_same(found.get(name), value) for name, value in fields.items())


def _same(found: object, wanted: str | int) -> bool:
    """Equal as text, whatever the case; JSON may quote a number."""
    return not isinstance(found, dict | list) and str(found).casefold() == str(wanted).casefold()
