"""Programmatic checks of an answer: a pattern, an exact answer, a JSON schema.

Decoding a check only bounds its size. `verify` reads its content, `score` applies it; both are pure. Patterns run on
RE2 and on Rust's `regex`, in time linear in the text, but a schema may still branch without end: callers' checks run
where they can be ended, in `gateway.learning.checker`.
"""

from __future__ import annotations

import json
import unicodedata
from typing import Annotated, Any, Literal, NoReturn

import jsonschema_rs
import msgspec
import re2
from msgspec import Meta

__all__ = (
    "MAX_CHECKS_BYTES",
    "AnswerCheck",
    "Check",
    "CheckError",
    "Checks",
    "PatternCheck",
    "SchemaCheck",
    "compiled",
    "normalised",
    "score",
    "verify",
)

MAX_CHECKS = 8
MAX_CHECKS_BYTES = 64 * 1024
"""Of all checks of one request, as compact JSON."""

MAX_SCHEMA_BYTES = 16 * 1024
"""Of the schema as compact JSON."""

MAX_PROGRAM_BYTES = 1024 * 1024
"""Of a compiled pattern and its matching state; RE2 refuses what does not fit."""

Name = Annotated[str, Meta(min_length=1, max_length=64)]
_Text = Annotated[str, Meta(min_length=1, max_length=4096)]
_Pattern = Annotated[str, Meta(min_length=1, max_length=512)]
_EDGES = " \"'`*.,;:!?()[]\u2018\u2019\u201c\u201d"
_MAX_OBJECTS = 20
"""Braces of an answer at which a JSON object is looked for."""

_PYTHON_ONLY = ("invalid perl operator", "invalid escape sequence", "bad repetition operator")
"""How RE2 begins its message on syntax that other engines have."""


class CheckError(ValueError):
    """The content of a check cannot be used; `field` names the part of it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def _refuse(uri: str) -> NoReturn:
    """A schema is never fetched: a caller could make us read any address or file."""
    raise ValueError(f"{uri} is outside the schema")


_META_SCHEMA = jsonschema_rs.Draft202012Validator(
    {"$ref": "https://json-schema.org/draft/2020-12/schema"}, retriever=_refuse
)


def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = MAX_PROGRAM_BYTES
    options.never_capture = True
    options.log_errors = False  # They are the caller's, and told to it.
    return options


_OPTIONS = _options()
_PATTERN_OPTIONS = jsonschema_rs.RegexOptions(size_limit=MAX_PROGRAM_BYTES, dfa_size_limit=MAX_PROGRAM_BYTES)


class PatternCheck(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="regex", omit_defaults=True
):
    """The answer contains a match of a regular expression in RE2's syntax, and none of another one."""

    pattern: _Pattern
    absent: _Pattern | None = None
    """What must not match anywhere; stands in for a negative look-around, which RE2 does not have."""
    name: Name = "regex"
    """What the score is called in the log."""


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
        """Bound the size; whether it is a schema is for `verify` to say."""
        if len(msgspec.json.encode(self.schema)) > MAX_SCHEMA_BYTES:
            raise ValueError(f"`schema` is larger than {MAX_SCHEMA_BYTES} bytes")


Check = PatternCheck | AnswerCheck | SchemaCheck
"""One check; `type` in JSON says which."""

Checks = Annotated[tuple[Check, ...], Meta(max_length=MAX_CHECKS)]
"""The checks of one request."""


def verify(check: Check) -> None:
    """Compile a check and drop the result.

    Raises:
        CheckError: Its pattern or schema cannot be used.
    """
    match check:
        case PatternCheck():
            for field in ("pattern", "absent"):
                if (pattern := getattr(check, field)) is not None:
                    _verify_pattern(pattern, field=field)
        case SchemaCheck():
            _verify_schema(check.schema)
        case AnswerCheck():
            pass


def score(check: Check, text: str) -> float:
    """How well an answer does on a check, in [0, 1]; these three kinds know right and wrong only.

    Raises:
        ValueError: The check does not pass `verify`.
    """
    match check:
        case PatternCheck():
            return float(_found(check.pattern, text) and not (check.absent and _found(check.absent, text)))
        case AnswerCheck():
            right = (check.answer,) if isinstance(check.answer, str) else check.answer
            return float(normalised(text) in {normalised(answer) for answer in right})
        case SchemaCheck():
            return float(_fits(check, text))


def normalised(text: str) -> str:
    """Text without what does not make an answer another one: case, Unicode form, spaces, marks around it."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split()).strip(_EDGES)


def compiled(pattern: str) -> re2._Regexp:
    """A pattern within the memory it may have; compiled once as long as it is among the latest.

    Raises:
        ValueError: It is not one of RE2's, or too large.
    """
    try:
        return re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        said = error.args[0]
        raise ValueError(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)) from None


def _found(pattern: str, text: str) -> bool:
    return compiled(pattern).search(text.encode("utf-8", "replace")) is not None


def _verify_pattern(pattern: str, *, field: str) -> None:
    try:
        compiled(pattern)
    except UnicodeEncodeError:
        raise CheckError(field, f"`{field}` is not valid Unicode") from None
    except ValueError as error:
        hint = ""
        if str(error).startswith(_PYTHON_ONLY):
            hint = "; patterns use RE2's syntax, which has no look-around and no backreferences"
        raise CheckError(field, f"`{field}` is no regular expression: {error}{hint}") from None


def _verify_schema(schema: dict[str, Any]) -> None:
    try:
        _META_SCHEMA.validate(schema)
        _validator(schema)
    except jsonschema_rs.ValidationError as error:
        place = "/".join(str(part) for part in error.instance_path)
        pattern = error.message.endswith('is not a "regex"')
        hint = "; patterns in it have no look-around and no backreferences" if pattern else ""
        raise CheckError("schema", f"`schema` is no JSON schema: {error.message} (at /{place}){hint}") from None
    except ValueError as error:
        raise CheckError("schema", f"`schema` cannot be used: {error}") from None


def _validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema, retriever=_refuse, pattern_options=_PATTERN_OPTIONS)


def _fits(check: SchemaCheck, text: str) -> bool:
    validator = _validator(check.schema)
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
