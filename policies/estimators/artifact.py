"""How a fitted estimator is stored: named arrays and plain facts, in MessagePack, named by the hash of its bytes.

Nothing in it can run: it is decoded against a schema, and every array is checked for type, shape and range before it
is used. The arrays are views of the bytes read, and cannot be written to.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.errors import ArtifactError

__all__ = ("MAX_BYTES", "Artifact", "checked", "checked_places", "content_hash", "decode", "encode")

MAX_BYTES = 5_000_000
FORMAT = 1


class _Array(msgspec.Struct, frozen=True, array_like=True):
    dtype: Literal["float32", "uint16", "int32"]
    shape: tuple[int, ...]
    data: bytes


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    kind: str
    layout: str
    variants: tuple[str, ...]
    facts: dict[str, float | int | str | None]
    arrays: dict[str, _Array]


class Artifact(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One fitted estimator."""

    kind: str
    """What it predicts: `answers`, `latency`, `cascade`."""
    layout: str
    """Version of the feature layout it was fitted on."""
    variants: tuple[str, ...]
    """Names, in the order of the arrays' variant axis."""
    arrays: dict[str, NDArray[Any]]
    facts: dict[str, float | int | str | None] = {}
    """Where it came from: rows, period, metrics. Informative only."""


def encode(artifact: Artifact) -> bytes:
    """The bytes of an artifact; equal artifacts have equal bytes.

    Raises:
        ArtifactError: It is larger than `MAX_BYTES`.
    """
    arrays = {
        name: _Array(str(array.dtype), array.shape, np.ascontiguousarray(array).tobytes())  # type: ignore[arg-type]
        for name, array in artifact.arrays.items()
    }
    stored = _Stored(
        format=FORMAT,
        kind=artifact.kind,
        layout=artifact.layout,
        variants=artifact.variants,
        facts=artifact.facts,
        arrays=arrays,
    )
    data = msgspec.msgpack.encode(stored, order="deterministic")
    if len(data) > MAX_BYTES:
        raise ArtifactError(f"the {artifact.kind} estimator takes {len(data)} bytes, at most {MAX_BYTES} are allowed")
    return data


def decode(data: bytes, *, kind: str, layout: str) -> Artifact:
    """Read an artifact of a kind, for a feature layout.

    Raises:
        ArtifactError: It is damaged, too large, of another kind, or made for another layout.
    """
    if len(data) > MAX_BYTES:
        raise ArtifactError(f"the artifact takes {len(data)} bytes, at most {MAX_BYTES} are allowed")
    try:
        stored = msgspec.msgpack.decode(data, type=_Stored)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ArtifactError(f"the artifact cannot be read: {error}") from None
    for what, found, expected in (
        ("format", stored.format, FORMAT),
        ("kind", stored.kind, kind),
        ("feature layout", stored.layout, layout),
    ):
        if found != expected:
            raise ArtifactError(f"the artifact has {what} `{found}`, expected `{expected}`")
    if not stored.variants or len(set(stored.variants)) < len(stored.variants):
        raise ArtifactError("the artifact's variants must be distinct, and at least one")
    arrays = {name: _array(name, array) for name, array in stored.arrays.items()}
    return Artifact(kind=kind, layout=layout, variants=stored.variants, arrays=arrays, facts=stored.facts)


def checked(
    artifact: Artifact, name: str, *, shape: tuple[int, ...], low: float = -1e6, high: float = 1e6
) -> NDArray[np.float32]:
    """An array of numbers of an artifact, with the shape and range it must have.

    Raises:
        ArtifactError: It is missing, of another type or shape, not finite, or out of range.
    """
    return _checked(artifact, name, np.float32, shape=shape, low=low, high=high)


def checked_places(
    artifact: Artifact, name: str, *, shape: tuple[int, ...], low: int, high: int
) -> NDArray[np.int32]:
    """An array of whole numbers, such as places in another array.

    Raises:
        ArtifactError: As `checked` has it.
    """
    return _checked(artifact, name, np.int32, shape=shape, low=low, high=high)


def _checked(
    artifact: Artifact, name: str, dtype: type[np.generic], *, shape: tuple[int, ...], low: float, high: float
) -> NDArray[Any]:
    """An array of a type, with the shape and range it must have.

    Raises:
        ArtifactError: It is missing, of another type or shape, not finite, or out of range.
    """
    array = artifact.arrays.get(name)
    if array is None:
        raise ArtifactError(f"the {artifact.kind} estimator lacks `{name}`")
    if array.dtype != dtype or array.shape != shape:
        expected = f"{np.dtype(dtype)} of shape {shape}"
        raise ArtifactError(f"`{name}` is {array.dtype} of shape {array.shape}, expected {expected}")
    # Comparisons with NaN are false, and so this refuses it too.
    if array.size and not (float(array.min()) >= low and float(array.max()) <= high):
        raise ArtifactError(f"`{name}` must lie within [{low:g}, {high:g}]")
    return array


def content_hash(data: bytes) -> str:
    """The name of an artifact: the first 32 hex digits of its bytes' SHA-256."""
    return hashlib.sha256(data).hexdigest()[:32]


def _array(name: str, stored: _Array) -> NDArray[Any]:
    try:
        return np.frombuffer(stored.data, dtype=stored.dtype).reshape(stored.shape)
    except ValueError as error:
        raise ArtifactError(f"`{name}` has damaged data: {error}") from None
