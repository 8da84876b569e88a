"""YAML text into a strict type, with errors that name the line, the column and the key.

The text is composed into a node tree first, because only nodes know their lines. The plain values made from it go
through msgspec, and `blame` leads from what msgspec finds wrong back to the node.
"""

from __future__ import annotations

import math
import re
from typing import Any, TypeVar

import msgspec
import yaml

from policies.documents.blame import blame
from policies.errors import DocumentError

__all__ = ("convert_yaml", "decode_yaml", "encode_yaml", "parse_yaml")

T = TypeVar("T")


def decode_yaml(text: str, type_: type[T], *, source_name: str) -> T:
    """Read a YAML document as `type_`.

    Args:
        text: The document; an empty one is an empty mapping.
        type_: What it must be; structs that forbid unknown fields make misspelt keys errors.
        source_name: Names the text in errors, usually its file.

    Raises:
        DocumentError: Not YAML, a key twice, an unknown key, a number that is not finite, or a value that
            does not fit.
    """
    root, value = parse_yaml(text, source_name=source_name)
    return convert_yaml(root, value, type_, source_name=source_name)


def convert_yaml(root: yaml.Node, value: Any, type_: type[T], *, source_name: str) -> T:  # noqa: ANN401
    """What `parse_yaml` returned, as `type_`.

    Raises:
        DocumentError: An unknown key, or a value that does not fit; with its place.
    """
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        mark, what = blame(str(error), root=root, value=value, type_=type_)
        raise _error(source_name, mark, what) from None


def parse_yaml(text: str, *, source_name: str) -> tuple[yaml.Node, Any]:
    """Read a YAML document as nodes, which know their lines, and as the plain values they stand for.

    Raises:
        DocumentError: Not YAML, a key twice, a loop, or a number that is not finite.
    """
    try:
        return _load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark or _mark(text, 0)
        raise _error(source_name, mark, error.problem or "not valid YAML") from None
    except yaml.reader.ReaderError as error:
        what = f"the character at position {error.position} of the text is not allowed"
        raise _error(source_name, _mark(text, error.position), what) from None
    except RecursionError:
        raise _error(source_name, _mark(text, 0), "nested too deeply") from None


def encode_yaml(value: Any) -> str:  # noqa: ANN401 - any plain value
    """Plain values as YAML text, mappings in their own order; `parse_yaml` reads them back as they were."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text


class _Loader(yaml.SafeLoader):
    """The safe loader, which also reads `1e-6` as a number, takes finite ones only, and says where one is wrong."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401
        try:
            value = super().construct_object(node, deep=deep)
        except (ValueError, KeyError, AttributeError):
            what = f"`{node.value}` is not a valid {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark) from None
        if isinstance(value, float) and not math.isfinite(value):
            raise yaml.constructor.ConstructorError(None, None, f"`{node.value}` is not finite", node.start_mark)
        return value


class _Dumper(yaml.SafeDumper):
    """The safe dumper, which also quotes text that `_Loader` would read as a number, and indents lists."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - inherited
        super().increase_indent(flow, indentless=False)


for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
    )


def _load(text: str) -> tuple[yaml.Node, Any]:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            mark = _mark(text, 0)
            root = yaml.MappingNode("tag:yaml.org,2002:map", [], mark, mark)
        _check(root, done=set(), within=frozenset())
        return root, loader.construct_document(root)
    finally:
        loader.dispose()


def _check(node: yaml.Node, *, done: set[int], within: frozenset[int]) -> None:
    """Refuse what YAML forbids and the library lets pass: a key twice, of which the last one would win, and loops."""
    if id(node) in within:
        raise yaml.MarkedYAMLError(problem="an alias refers to what contains it", problem_mark=node.start_mark)
    if id(node) in done or isinstance(node, yaml.ScalarNode):
        return
    within |= {id(node)}
    if isinstance(node, yaml.MappingNode):
        _check_keys(node)
        children = [inner for pair in node.value for inner in pair]
    else:
        children = node.value
    for child in children:
        _check(child, done=done, within=within)
    done.add(id(node))


def _check_keys(node: yaml.MappingNode) -> None:
    keys: set[tuple[str, str]] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if (key.tag, key.value) in keys:
            raise yaml.MarkedYAMLError(problem=f"key `{key.value}` is given twice", problem_mark=key.start_mark)
        keys.add((key.tag, key.value))


def _mark(text: str, position: int) -> yaml.Mark:
    before = text[:position]
    return yaml.Mark("", position, before.count("\n"), position - before.rfind("\n") - 1, "", 0)


def _error(source_name: str, mark: yaml.Mark, what: str) -> DocumentError:
    return DocumentError(source_name=source_name, line=mark.line + 1, column=mark.column + 1, what=what)
