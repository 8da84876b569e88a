"""Stored values into a strict type, passing over keys that this version of the software does not know."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import inspect

__all__ = ("convert_known",)

T = TypeVar("T")


def convert_known(value: Any, type_: type[T]) -> T:  # noqa: ANN401 - any plain value
    """The value as `type_`, without the keys that the type and those within it do not have.

    Raises:
        ValidationError: What is left does not fit.
    """
    return msgspec.convert(_known(value, inspect.type_info(type_)), type_)


def _known(value: Any, info: inspect.Type) -> Any:  # noqa: ANN401 - any plain value
    if isinstance(info, inspect.Metadata):
        return _known(value, info.type)
    if isinstance(info, inspect.UnionType):
        inner = [member for member in info.types if not isinstance(member, inspect.NoneType)]
        return _known(value, inner[0]) if len(inner) == 1 else value
    if isinstance(info, inspect.StructType) and isinstance(value, dict):
        return {f.encode_name: _known(value[f.encode_name], f.type) for f in info.fields if f.encode_name in value}
    if isinstance(info, inspect.DictType) and isinstance(value, dict):
        return {key: _known(inner, info.value_type) for key, inner in value.items()}
    if isinstance(info, inspect.CollectionType) and isinstance(value, list):
        return [_known(inner, info.item_type) for inner in value]
    return value
