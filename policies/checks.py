"""Programmatic checks of an answer: a pattern, an exact answer, a JSON schema.

`score` is pure but not bounded: a caller's pattern may backtrack for ever, a caller's schema may branch without end.
Whoever runs it on callers' checks does so where it can be ended, as `gateway.learning.checker` does.
"""

from __future__ import annotations

import json
import re
import unicodedata
import warnings
from typing import Annotated, Any, Literal, NoReturn

import jsonschema_rs
import msgspec
from msgspec import Meta

__all__ = ("AnswerCheck", "Check", "Checks", "PatternCheck", "SchemaCheck", "normalised", "score")

MAX_CHECKS = 8
MAX_SCHEMA_BYTES = 16 * 1024
"""Of the schema as compact JSON."""

Name = Annotated[str, Meta(min_length=1, max_length=64)]
_Text = Annotated[str, Meta(min_length=1, max_length=4096)]
_EDGES = " \"'`*.,;:!?()[]\u2018\u2019\u201c\u201d"
_MAX_OBJECTS = 20
"""Braces of an answer at which a JSON object is looked for."""


def _refuse(uri: str) -> NoReturn:
    """A schema is never fetched: a caller could make us read any address or file."""
    raise ValueError(f"{uri} is outside the schema")


_META_SCHEMA = jsonschema_rs.Draft202012Validator(
    {"$ref": "https://json-schema.org/draft/2020-12/schema"}, retriever=_refuse
)


class PatternCheck(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="regex"):
    """The answer contains a match of a regular expression, in the syntax of Python's `re`."""

    pattern: Annotated[str, Meta(min_length=1, max_length=512)]
    name: Name = "regex"
    """What the score is called in the log."""

    def __post_init__(self) -> None:
        """The pattern must compile."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Of what a later Python may read otherwise.
                re.compile(self.pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"`pattern` is no regular expression: {error}") from None


class AnswerCheck(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="exact"):
    """The answer is this, or one of these, both `normalised`."""

    answer: _Text | Annotated[tuple[_Text, ...], Meta(min_length=1, max_length=32)]
    name: Name = "exact"
    """What the score is called in the log."""


class SchemaCheck(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="json_schema"):
    """The answer is JSON that fits a schema of draft 2020-12, whatever `$schema` says."""

    schema: dict[str, Any]
    place: Literal["whole", "anywhere"] = "whole"
    """`whole`: the answer is JSON and nothing else; `anywhere`: an object in it fits, fenced or between words."""
    name: Name = "json_schema"
    """What the score is called in the log."""

    def __post_init__(self) -> None:
        """The schema must be one, and not a huge one."""
        if len(msgspec.json.encode(self.schema)) > MAX_SCHEMA_BYTES:
            raise ValueError(f"`schema` is larger than {MAX_SCHEMA_BYTES} bytes")
        try:
            _META_SCHEMA.validate(self.schema)
        except jsonschema_rs.ValidationError as error:
            place = "/".join(str(part) for part in error.instance_path)
            raise ValueError(f"`schema` is no JSON schema: {error.message} (at /{place})") from None


Check = PatternCheck | AnswerCheck | SchemaCheck
"""One check; `type` in JSON says which."""

Checks = Annotated[tuple[Check, ...], Meta(max_length=MAX_CHECKS)]
"""The checks of one request."""


def score(check: Check, text: str) -> float:
    """How well an answer does on a check, in [0, 1]; these three kinds know right and wrong only.

    Raises:
        ValueError: The schema refers to something outside itself.
    """
    match check:
        case PatternCheck():
            return float(re.search(check.pattern, text) is not None)
        case AnswerCheck():
            right = (check.answer,) if isinstance(check.answer, str) else check.answer
            return float(normalised(text) in {normalised(answer) for answer in right})
        case SchemaCheck():
            return float(_fits(check, text))


def normalised(text: str) -> str:
    """Text without what does not make an answer another one: case, Unicode form, spaces, marks around it."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split()).strip(_EDGES)


def _fits(check: SchemaCheck, text: str) -> bool:
    validator = jsonschema_rs.Draft202012Validator(check.schema, retriever=_refuse)
    if check.place == "anywhere":
        return any(validator.is_valid(value) for value in _objects(text))
    try:
        return validator.is_valid(json.loads(text, parse_constant=_no_json))
    except (ValueError, RecursionError):
        return False


def _objects(text: str) -> list[Any]:
    """The JSON objects in a text, outermost only, the first ones."""
    found: list[Any] = []
    decoder = json.JSONDecoder(parse_constant=_no_json)
    at = text.find("{")
    for _ in range(_MAX_OBJECTS):
        if at < 0:
            break
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            found.append(value)
        at = text.find("{", end)
    return found


def _no_json(constant: str) -> NoReturn:
    """Python reads NaN and Infinity; JSON has neither."""
    raise ValueError(f"{constant} is no JSON")
