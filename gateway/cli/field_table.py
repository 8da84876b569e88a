"""All fields of a document as one table: name, what it may be, default, meaning. Made from the JSON schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.cli.schema import described_schema

__all__ = ("field_table",)

Schema = dict[str, Any]


def field_table(type_: type[msgspec.Struct]) -> str:
    """Markdown, one row per field, inner fields below the one they belong to."""
    schema = described_schema(type_)
    rows = ["| field | may be | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*rows, *_rows(_resolved(schema, schema), schema, path="")])


def _rows(owner: Schema, root: Schema, *, path: str) -> Iterator[str]:
    required = owner.get("required", ())
    for name, field in owner.get("properties", {}).items():
        value, suffix = _unwrapped(field, root)
        inner = value.get("properties")
        default = "required" if name in required else _default(field, inner)
        meaning = field.get("description", "").replace("\n", " ")
        yield f"| `{path}{name}` | {_kind(field, root)} | {default} | {meaning} |"
        if inner is not None:
            yield from _rows(value, root, path=f"{path}{name}{suffix}.")


def _unwrapped(field: Schema, root: Schema) -> tuple[Schema, str]:
    """The innermost schema of lists and mappings, and how a path leads there."""
    field = _resolved(field, root)
    if field.get("type") == "array":
        inner, suffix = _unwrapped(field["items"], root)
        return inner, f"[]{suffix}"
    if isinstance(values := field.get("additionalProperties"), dict):
        inner, suffix = _unwrapped(values, root)
        return inner, f".NAME{suffix}"
    return field, ""


def _resolved(field: Schema, root: Schema) -> Schema:
    """Without references, and without the choice of saying nothing."""
    options = [option for option in field.get("anyOf", ()) if option.get("type") != "null"]
    if len(options) == 1:
        return _resolved(options[0], root)
    if "$ref" in field:
        return _resolved(root["$defs"][field["$ref"].rpartition("/")[2]], root)
    return field


def _kind(field: Schema, root: Schema) -> str:
    field = _resolved(field, root)
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        return f"list of {_kind(field['items'], root)}"
    if isinstance(values := field.get("additionalProperties"), dict):
        return f"{_kind(values, root)}, by name"
    if "properties" in field:
        return "section"
    if "anyOf" in field:
        return " or ".join(_kind(option, root) for option in field["anyOf"] if option.get("type") != "null")
    words = {
        "number": "number",
        "integer": "whole number",
        "string": "text",
        "boolean": "true, false",
        "object": "object",
    }
    return words[field["type"]] + _range(field)


def _range(field: Schema) -> str:
    signs = (("minimum", ">="), ("exclusiveMinimum", ">"), ("maximum", "<="), ("exclusiveMaximum", "<"))
    return "".join(f" {sign} {field[bound]:g}" for bound, sign in signs if bound in field)


def _default(field: Schema, inner: object) -> str:
    """Nothing for a section: its fields have defaults of their own."""
    default = field.get("default")
    empty = default is None or (isinstance(default, list | tuple | dict | str) and not default)
    if empty or (inner is not None and isinstance(default, dict)):
        return ""
    return f"`{json.dumps(default)}`".replace('"', "")
