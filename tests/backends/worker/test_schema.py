from __future__ import annotations

from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from backends.worker.errors import RequestError
from backends.worker.schema import checked_schema


class Street(BaseModel):
    name: str
    numbers: list[int]


class Place(BaseModel):
    city: str
    home: Street
    work: Street | None


def checked(schema: dict[str, Any]) -> dict[str, Any]:
    return msgspec.json.decode(checked_schema(schema, param="p"), type=dict[str, Any])


def test_a_schema_made_from_nested_classes_is_put_together() -> None:
    schema = checked(Place.model_json_schema())
    street = schema["properties"]["home"]
    assert street["properties"]["numbers"] == {"type": "array", "items": {"type": "integer"}, "title": "Numbers"}
    assert schema["properties"]["work"]["anyOf"][0] == street
    assert "$defs" not in schema


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "strange"}, "strange"),
        ({"type": "string", "pattern": "("}, "pattern"),
        ({"type": "object", "properties": 3}, "properties"),
        ({"type": "array", "items": {"type": "array", "minItems": 3, "maxItems": 1}}, "minItems"),
        ({"type": "object", "required": ["ghost"]}, "required"),
        ({"enum": []}, "enum"),
        ({"$ref": "#/elsewhere"}, "elsewhere"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}, "refers to itself"),
        (
            {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
            "refers to itself",
        ),
        ({"$defs": 3}, "JSON schema"),
    ],
)
def test_what_the_grammar_compiler_may_not_know_is_refused(schema: dict[str, Any], why: str) -> None:
    with pytest.raises(RequestError, match=why):
        checked(schema)


def test_a_small_schema_that_unfolds_into_a_huge_one_is_refused() -> None:
    defs: dict[str, Any] = {"d0": {"type": "string"}}
    for i in range(1, 30):
        defs[f"d{i}"] = {"anyOf": [{"$ref": f"#/$defs/d{i - 1}"}, {"$ref": f"#/$defs/d{i - 1}"}]}
    with pytest.raises(RequestError, match="parts"):
        checked({"$ref": "#/$defs/d29", "$defs": defs})
