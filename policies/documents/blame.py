"""From a validation message to the place in the text that it is about."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import msgspec
import yaml
from msgspec import inspect

__all__ = ("blame",)

_MESSAGE = re.compile(r"^(?P<what>.*?)(?: - at (?P<of_key>`key` in )?`\$(?P<path>.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<key>.*)`$", re.DOTALL)
_STEP = re.compile(r"\.(?P<name>[^.\[\]]+)|\[(?P<index>\d+|\.\.\.)\]")


def blame(message: str, *, root: yaml.Node, value: Any, type_: Any) -> tuple[yaml.Mark, str]:  # noqa: ANN401
    """Where a document is wrong, and what is wrong with it in the words of its reader.

    Args:
        message: What msgspec said about `value`.
        root: The document as nodes.
        value: The same as plain values.
        type_: What it was to become.
    """

    def remains() -> bool:
        try:
            msgspec.convert(value, type_)
        except msgspec.ValidationError as error:
            return str(error) == message
        return False

    match = _MESSAGE.match(message)
    what, path, of_key = (match["what"], match["path"] or "", match["of_key"]) if match else (message, "", None)
    place = _Place(node=root, value=value, types=_flat(inspect.type_info(type_)), name="")
    for step in _STEP.finditer(path):
        place = place.inner(_key(step, place.value, remains))
    mark = place.node.start_mark
    if of_key:
        mark = place.mark_of(_culprit(place.value, remains)) or mark
        what = f"{what} as a key"
    if unknown := _UNKNOWN.match(what):
        key = unknown["key"]
        mark = place.mark_of(key) or mark
        what = f"unknown key `{key}`" + (f" in {place.name}" if place.name else "")
        meant = difflib.get_close_matches(key, place.field_names(), n=1)
        return mark, what + (f"; did you mean `{meant[0]}`?" if meant else "")
    return mark, f"{what} at {place.name}" if place.name else what


@dataclass(frozen=True, kw_only=True)
class _Place:
    """One position in a document: its node, its plain value, and the types it may have."""

    node: yaml.Node
    value: Any
    types: list[inspect.Type]
    name: str

    def inner(self, key: Hashable) -> _Place:
        """One step further; stays where it is if there is no such step."""
        if isinstance(self.node, yaml.SequenceNode) and isinstance(key, int):
            node, name = self.node.value[key], f"{self.name}[{key}]"
        elif (pair := self._pair(key)) is not None:
            node, name = pair[1], f"{self.name}.{key}".lstrip(".")
        else:
            return self
        return _Place(node=node, value=self.value[key], types=_inner_types(self.types, key), name=name)

    def mark_of(self, key: Hashable) -> yaml.Mark | None:
        """Where a key of this mapping stands."""
        pair = self._pair(key)
        return None if pair is None else pair[0].start_mark

    def field_names(self) -> list[str]:
        """The keys that would be known here."""
        return [f.encode_name for t in self.types if isinstance(t, inspect.StructType) for f in t.fields]

    def _pair(self, key: Hashable) -> tuple[yaml.Node, yaml.Node] | None:
        pairs = self.node.value if isinstance(self.node, yaml.MappingNode) else []
        # Merged keys come first, and those written out override them.
        return next((pair for pair in reversed(pairs) if pair[0].value == str(key)), None)


def _key(step: re.Match[str], value: Any, remains: Callable[[], bool]) -> Hashable:  # noqa: ANN401
    name: str | None = step["name"]
    if name is not None:
        return name
    return _culprit(value, remains) if step["index"] == "..." else int(step["index"])


def _culprit(mapping: Any, remains: Callable[[], bool]) -> Hashable:  # noqa: ANN401
    """The key to blame in a mapping, which msgspec does not name: with it alone the message stays the same."""
    if not isinstance(mapping, dict):
        return None
    entries: dict[Hashable, Any] = dict(mapping)
    try:
        for key, value in entries.items():
            mapping.clear()
            mapping[key] = value
            if remains():
                return key
    finally:
        mapping.clear()
        mapping.update(entries)
    return None


def _inner_types(types: list[inspect.Type], key: Hashable) -> list[inspect.Type]:
    found: list[inspect.Type] = []
    for info in types:
        if isinstance(info, inspect.StructType):
            found += [field.type for field in info.fields if field.encode_name == key]
        elif isinstance(info, inspect.DictType):
            found.append(info.value_type)
        elif isinstance(info, inspect.TupleType):
            found += info.item_types
        elif isinstance(info, inspect.CollectionType):
            found.append(info.item_type)
    return [inner for info in found for inner in _flat(info)]


def _flat(info: inspect.Type) -> list[inspect.Type]:
    """A type without its annotations, a union as its members."""
    if isinstance(info, inspect.Metadata):
        return _flat(info.type)
    if isinstance(info, inspect.UnionType):
        return [inner for member in info.types for inner in _flat(member)]
    return [info]
