from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.checks import AnswerCheck, Check, PatternCheck, SchemaCheck, normalised, score

CITY = {"type": "object", "properties": {"city": {"const": "Paris"}}, "required": ["city"]}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [("Paris", "It is Paris.", 1), ("(?i)paris", "PARIS", 1), ("^Paris$", "It is Paris", 0), (r"\d+", "none", 0)],
)
def test_a_pattern_may_match_anywhere(pattern: str, text: str, expected: float) -> None:
    assert score(PatternCheck(pattern=pattern), text) == expected


@pytest.mark.parametrize("text", ["Paris", " paris.\n", "**PARIS**", "`Paris`", "\u201cParis\u201d", "\uff30aris"])
def test_an_exact_answer_may_differ_in_case_form_and_marks_around_it(text: str) -> None:
    assert score(AnswerCheck(answer="Paris"), text) == 1


def test_an_exact_answer_is_the_whole_answer_and_may_be_one_of_several() -> None:
    check = AnswerCheck(answer=("New York", "NYC"))
    assert [score(check, text) for text in ("new  york", "nyc", "It is NYC", "York", "")] == [1, 1, 0, 0, 0]


@given(st.text())
def test_normalising_again_changes_nothing_and_every_answer_equals_itself(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)
    if text:
        assert score(AnswerCheck(answer=text[:4096]), text[:4096]) == 1


@pytest.mark.parametrize(
    ("text", "whole", "anywhere"),
    [
        ('{"city": "Paris"}', 1, 1),
        (' {"city": "Paris", "x": 1}\n', 1, 1),
        ('```json\n{"city": "Paris"}\n```', 0, 1),
        ('Given {x}, here: {"city": "Paris"}. Done.', 0, 1),
        ('{"city": "Rome"} or {"city": "Paris"}', 0, 1),
        ('{"city": "Rome"}', 0, 0),
        ('{"city": NaN}', 0, 0),
        ('{"city": "Paris"', 0, 0),
        ("[" * 100_000, 0, 0),
        ('{"city": "Paris", "n": ' + "9" * 100_000 + "}", 0, 0),
        ('{"a":' * 100_000, 0, 0),
        ("", 0, 0),
    ],
)
def test_a_schema_is_held_against_the_whole_answer_or_the_objects_in_it(text: str, whole: int, anywhere: int) -> None:
    found = [score(SchemaCheck(schema=CITY, place=place), text) for place in ("whole", "anywhere")]
    assert found == [whole, anywhere]


@given(VALUES)
def test_every_json_value_fits_the_schema_that_names_it(value: Any) -> None:
    check = SchemaCheck(schema={"const": value})
    assert score(check, json.dumps(value)) == 1
    assert score(check, json.dumps([value])) == 0


@pytest.mark.parametrize("schema", [{"$ref": "http://127.0.0.1:9/x"}, {"$ref": "file:///etc/hostname"}])
def test_a_schema_that_lies_elsewhere_is_not_fetched(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="outside the schema"):
        score(SchemaCheck(schema=schema), "{}")


def test_a_schema_is_read_by_one_draft_and_none_is_fetched_for_that() -> None:
    check = SchemaCheck(schema={"$schema": "http://127.0.0.1:9/x", "type": "object"})
    assert score(check, "{}") == 1


@pytest.mark.parametrize("text", ["{}", "{" * 1000, '{"a": 1} ' * 1000])
def test_a_schema_that_refers_to_itself_comes_to_an_end(text: str) -> None:
    for place in ("whole", "anywhere"):
        schema = {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "string"}]}}}
        assert score(SchemaCheck(schema=schema, place=place), text) in {0, 1}


def test_checks_are_the_same_after_a_round_trip() -> None:
    checks: list[Check] = [
        PatternCheck(pattern="a+", name="as"),
        AnswerCheck(answer=("a", "b")),
        SchemaCheck(schema=CITY, place="anywhere"),
    ]
    encoded = msgspec.json.encode(checks)
    assert [entry["type"] for entry in json.loads(encoded)] == ["regex", "exact", "json_schema"]
    assert msgspec.json.decode(encoded, type=list[Check]) == checks
