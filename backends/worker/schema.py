"""The part of JSON Schema that answers can be held to.

The grammar compiler behind structured output fails in the middle of a step on what it does not know, and takes every
running request with it. So a schema is read strictly here first: references are put in place, and anything the
compiler may not know is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from backends.worker.errors import RequestError

__all__ = ("ANY_OBJECT", "checked_schema")

ANY_OBJECT = '{"type":"object"}'
"""What `json_object` asks for."""

_MAX_NODES = 1000
_DEFINITIONS = "#/$defs/"
_Type = Literal["object", "array", "string", "number", "integer", "boolean", "null"]
_Scalar = str | int | float | bool | None
_Count = Annotated[int, Meta(ge=0, le=1000)]
_Text = str | msgspec.UnsetType


class _Node(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    type: _Type | Annotated[list[_Type], Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET
    properties: dict[str, _Node] | msgspec.UnsetType = msgspec.UNSET
    required: list[str] | msgspec.UnsetType = msgspec.UNSET
    additional_properties: bool | _Node | msgspec.UnsetType = msgspec.UNSET
    items: _Node | msgspec.UnsetType = msgspec.UNSET
    min_items: _Count | msgspec.UnsetType = msgspec.UNSET
    max_items: _Count | msgspec.UnsetType = msgspec.UNSET
    enum: Annotated[list[_Scalar], Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET
    const: _Scalar | msgspec.UnsetType = msgspec.UNSET
    any_of: Annotated[list[_Node], Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET
    title: _Text = msgspec.UNSET
    description: _Text = msgspec.UNSET

    def __post_init__(self) -> None:
        if not self.properties and self.required:
            raise ValueError("`required` names properties that are not there")
        if self.properties and set(self.required or ()) - set(self.properties):
            raise ValueError("`required` names properties that are not there")
        if isinstance(self.min_items, int) and isinstance(self.max_items, int) and self.min_items > self.max_items:
            raise ValueError("`minItems` is above `maxItems`")


def checked_schema(schema: Mapping[str, Any], *, param: str) -> str:
    """The schema as JSON text, its references replaced by what they refer to.

    Args:
        schema: As the caller sent it.
        param: Where it stood in the request, for the error.

    Raises:
        RequestError: It uses what is not supported, refers to itself or to nothing, or is too large.
    """
    try:
        inlined = _Inliner(schema.get("$defs", {})).inline({k: v for k, v in schema.items() if k != "$defs"}, ())
        return msgspec.json.encode(msgspec.convert(inlined, _Node)).decode()
    except (ValueError, TypeError, AttributeError) as error:
        raise RequestError(f"the JSON schema cannot be used: {error}", param=param) from error


class _Inliner:
    def __init__(self, definitions: object) -> None:
        if not isinstance(definitions, dict):
            raise TypeError("`$defs` is no object")
        self._definitions = definitions
        self._nodes = 0

    def inline(self, node: object, within: tuple[str, ...]) -> object:
        """A copy of a part of the schema without references; `within` names those being replaced."""
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise ValueError(f"it has more than {_MAX_NODES} parts")
        if isinstance(node, list):
            return [self.inline(part, within) for part in node]
        if not isinstance(node, dict):
            return node
        if "$ref" not in node:
            return {key: self.inline(part, within) for key, part in node.items()}
        name = str(node["$ref"]).removeprefix(_DEFINITIONS)
        if name in within:
            raise ValueError(f"`{name}` refers to itself")
        if name not in self._definitions:
            raise ValueError(f"`$ref` to `{node['$ref']}`, which is not under `$defs`")
        return self.inline(self._definitions[name], (*within, name))
