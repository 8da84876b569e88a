"""What a frozen value states, and the hash over it that names a policy."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import Enum
from typing import Any

import msgspec

from policies.policy import Policy

__all__ = ("content_hash", "digest", "stated")


def content_hash(policy: Policy) -> str:
    """Twelve hex digits over everything that is stated in a policy but its hash; equal content has equal digits.

    What is at its default is not stated: a later version may add fields, and old policies keep their hashes. A
    default itself, once released, never changes, being part of what stored documents mean. The formula is always
    stated, because documents of schema version 1, whose hashes are kept, did not state theirs.
    """
    content = stated(msgspec.structs.replace(policy, hash=""))
    return digest(content | {"formula": policy.formula.value})


def digest(content: Mapping[str, Any]) -> str:
    """Twelve hex digits over plain values, whatever the order of their keys."""
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:12]


def stated(value: Any) -> Any:  # noqa: ANN401 - any value of a policy
    """A value as plain mappings, lists and scalars, without the struct fields that are at their default."""
    if isinstance(value, msgspec.Struct):
        fields = {field.name: (field, getattr(value, field.name)) for field in msgspec.structs.fields(value)}
        return {name: stated(inner) for name, (field, inner) in fields.items() if not _is_default(field, inner)}
    if isinstance(value, Mapping):
        return {name: stated(inner) for name, inner in value.items()}
    if isinstance(value, tuple):
        return [stated(inner) for inner in value]
    return value.value if isinstance(value, Enum) else value


def _is_default(field: msgspec.structs.FieldInfo, value: object) -> bool:
    factory = field.default_factory
    return bool(value == (field.default if factory is msgspec.NODEFAULT else factory()))
