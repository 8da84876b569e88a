"""JSON schemas of what people write, every field described by the docstring that stands under it in the code."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from typing import Any

import msgspec

__all__ = ("described_schema",)


def described_schema(type_: type[msgspec.Struct]) -> dict[str, Any]:
    """JSON schema of a struct and all that it holds, with descriptions."""
    schema = msgspec.json.schema(type_)
    components = schema.get("$defs", {})
    for struct in _structs(type_):
        properties = components.get(struct.__name__, {}).get("properties", {})
        for name, text in _field_docs(struct).items():
            if name in properties:
                properties[name]["description"] = text
    return schema


def _structs(type_: type) -> set[type[msgspec.Struct]]:
    """All struct types reachable from one."""
    found: set[type[msgspec.Struct]] = set()
    pending = [msgspec.inspect.type_info(type_)]
    while pending:
        info = pending.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in found:
                continue
            found.add(info.cls)
            pending += [field.type for field in info.fields]
            continue
        for name in ("type", "item_type", "key_type", "value_type"):
            if (inner := getattr(info, name, None)) is not None:
                pending.append(inner)
        pending += getattr(info, "types", ())
    return found


def _field_docs(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The string that follows each field in the class body."""
    body = ast.parse(textwrap.dedent(inspect.getsource(struct))).body[0]
    docs: dict[str, str] = {}
    statements = body.body if isinstance(body, ast.ClassDef) else []
    for field, text in itertools.pairwise(statements):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(doc))):
                docs[name] = inspect.cleandoc(doc)
    return docs
