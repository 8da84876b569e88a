"""YAML text into a strict type, with errors that name the line, the column and the key.

The text is composed into a node tree first, because only nodes know their lines. The plain values made from it go
through msgspec, and the path in its message leads back to the node to blame.
"""

from __future__ import annotations

import difflib
import re
from typing import Any, TypeVar

import msgspec
import yaml

from policies.errors import DocumentError

__all__ = ("decode_yaml",)

T = TypeVar("T")

_MESSAGE = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"unknown field `(?P<key>.*?)`")
_STEP = re.compile(r"\.(?P<key>[^.\[\]]+)|\[(?P<index>\d+|\.\.\.)\]")


def decode_yaml(text: str, type_: type[T], *, source_name: str) -> T:
    """Read a YAML document as `type_`.

    Args:
        text: The document.
        type_: What it must be; structs that forbid unknown fields make misspelt keys errors.
        source_name: Names the text in errors, usually its file.

    Raises:
        DocumentError: Not YAML, a key twice, an unknown key, or a value that does not fit.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            node = yaml.MappingNode("tag:yaml.org,2002:map", [], _start(), _start())
        _reject_duplicates(node, source_name, seen=set())
        value = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark or _start()
        raise _error(source_name, mark, error.problem or "not valid YAML") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise _error(source_name, _start(), f"not valid YAML: {error}") from None
    finally:
        loader.dispose()
    try:
        return msgspec.convert(value, type_, strict=True)
    except msgspec.ValidationError as error:
        raise _located(node, str(error), source_name, type_) from None


def _start() -> yaml.Mark:
    return yaml.Mark("", 0, 0, 0, "", 0)


def _error(source_name: str, mark: yaml.Mark, what: str) -> DocumentError:
    return DocumentError(source_name=source_name, line=mark.line + 1, column=mark.column + 1, what=what)


def _reject_duplicates(node: yaml.Node, source_name: str, *, seen: set[int]) -> None:
    """YAML forbids a key twice in one mapping, and the library lets the last one win."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    raise _error(source_name, key.start_mark, f"key `{key.value}` is given twice")
                keys.add(key.value)
            _reject_duplicates(value, source_name, seen=seen)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _reject_duplicates(item, source_name, seen=seen)


def _located(root: yaml.Node, message: str, source_name: str, type_: Any) -> DocumentError:  # noqa: ANN401
    match = _MESSAGE.match(message)
    what, path = (match["what"], match["path"] or "") if match else (message, "")
    node = _descend(root, path)
    mark, place = node.start_mark, path.lstrip(".")
    if unknown := _UNKNOWN.search(what):
        key = unknown["key"]
        mark = _key_mark(node, key) or mark
        meant = difflib.get_close_matches(key, _field_names(type_), n=1)
        what = f"unknown key `{key}`" + (f" in {place}" if place else "")
        what += f"; did you mean `{meant[0]}`?" if meant else ""
    elif place:
        what = f"{what} at {place}"
    return _error(source_name, mark, what)


def _descend(node: yaml.Node, path: str) -> yaml.Node:
    """Follow a msgspec path as far as it can be followed."""
    for step in _STEP.finditer(path):
        inner = None
        if isinstance(node, yaml.MappingNode) and step["key"] is not None:
            inner = next((value for key, value in node.value if key.value == step["key"]), None)
        elif isinstance(node, yaml.SequenceNode) and (step["index"] or "").isdigit():
            inner = node.value[int(step["index"])]
        if inner is None:
            break
        node = inner
    return node


def _key_mark(node: yaml.Node, name: str) -> yaml.Mark | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((key.start_mark for key, _ in pairs if key.value == name), None)


def _field_names(type_: Any) -> list[str]:  # noqa: ANN401
    """Names of all fields of all structs reachable from a type, to guess a misspelt key from."""
    names: set[str] = set()
    seen: set[Any] = set()
    pending: list[Any] = [msgspec.inspect.type_info(type_)]
    while pending:
        info = pending.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in seen:
                continue
            seen.add(info.cls)
            names |= {field.encode_name for field in info.fields}
            pending += [field.type for field in info.fields]
            continue
        pending += [inner for name in _INNER if (inner := getattr(info, name, None)) is not None]
        pending += [*getattr(info, "types", ()), *getattr(info, "item_types", ())]
    return sorted(names)


_INNER = ("type", "item_type", "value_type")
