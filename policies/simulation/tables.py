"""Tables of known outcomes: what every variant would have answered to every request, and what that took.

One JSON object a line: `{"id", "prompt", "source", "arms": {"name": {"quality", "cost_usd", "latency_s"?, "ttft_s"?,
"completion_tokens"?}}}`, plain or gzipped. A variant is called an arm here, as in the bandit literature.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Self, TypeVar

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from policies.errors import DocumentError
from policies.objective import NonNegative, Ratio

__all__ = ("Arm", "Row", "Table", "decoded_lines", "inflated", "parse")

F64 = NDArray[np.float64]
T = TypeVar("T")


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """What one variant made of one request. Further fields are ignored."""

    quality: Ratio
    cost_usd: NonNegative
    latency_s: NonNegative | None = None
    ttft_s: NonNegative | None = None
    completion_tokens: NonNegative | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line."""

    id: str
    prompt: str
    source: str = ""
    """What the request belongs to: a task, a subject; empty where it is not known."""
    arms: Annotated[dict[str, Arm], Meta(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class Table:
    """The lines as columns: n requests, k arms. An arm that a line lacks has `nan` there."""

    name: str
    arms: tuple[str, ...]
    """In the order of their first appearance."""
    prompts: NDArray[np.object_]
    """Shape (n,), as `sources`; the rest (n, k)."""
    sources: NDArray[np.object_]
    quality: F64
    cost_usd: F64
    latency_s: F64
    ttft_s: F64
    completion_tokens: F64

    def __len__(self) -> int:
        return len(self.prompts)

    @classmethod
    def of(cls, rows: Sequence[Row], *, name: str) -> Self:
        """Columns of the rows."""
        arms = tuple(dict.fromkeys(arm for row in rows for arm in row.arms))
        filled = {
            field: np.array(
                [[_or_nan(getattr(row.arms.get(arm), field, None)) for arm in arms] for row in rows], np.float64
            ).reshape(len(rows), len(arms))
            for field in Arm.__struct_fields__
        }
        return cls(
            name=name,
            arms=arms,
            prompts=np.array([row.prompt for row in rows], np.object_),
            sources=np.array([row.source for row in rows], np.object_),
            **filled,
        )

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Self:
        """Some of the requests: their numbers, or a mask."""
        columns = {field.name: getattr(self, field.name)[rows] for field in fields(self)[2:]}
        return type(self)(name=self.name, arms=self.arms, **columns)

    def complete(self) -> Self:
        """The requests whose quality and cost are known for every arm: the only ones on which methods compare."""
        return self.take(np.flatnonzero(~np.isnan(self.quality + self.cost_usd).any(axis=1)))

    def ordered(self, arms: tuple[str, ...]) -> Self:
        """The same with exactly these arms, in this order.

        Raises:
            KeyError: The table lacks one.
        """
        for arm in arms:
            if arm not in self.arms:
                raise KeyError(arm)
        places = [self.arms.index(arm) for arm in arms]
        columns = {field: getattr(self, field)[:, places] for field in Arm.__struct_fields__}
        return type(self)(name=self.name, arms=arms, prompts=self.prompts, sources=self.sources, **columns)


def inflated(data: bytes, *, name: str) -> bytes:
    """The text of a file, gzipped or not.

    Raises:
        DocumentError: It begins as gzip does and is damaged.
    """
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DocumentError(source_name=name, line=1, column=1, what=f"not a sound gzip file: {error}") from None


def parse(data: bytes, *, name: str) -> Table:
    """Read a table.

    Args:
        data: The file, gzipped or not.
        name: Names it in errors, and the table.

    Raises:
        DocumentError: A line is not a row; names the line and the field. Or there are none.
    """
    rows = decoded_lines(data, Row, name=name)
    if not rows:
        raise DocumentError(source_name=name, line=1, column=1, what="the table has no rows")
    return Table.of(rows, name=name)


def decoded_lines(data: bytes, kind: type[T], *, name: str) -> list[T]:
    """Every line that is not blank as a struct of this kind.

    Raises:
        DocumentError: A line is not one; names the line and the field.
    """
    decoder, decoded = msgspec.json.Decoder(kind), []
    for number, line in enumerate(inflated(data, name=name).split(b"\n"), start=1):
        if line.strip():
            try:
                decoded.append(decoder.decode(line))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise DocumentError(source_name=name, line=number, column=1, what=str(error)) from None
    return decoded


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)
