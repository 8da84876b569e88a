"""Traces of arrivals: when requests came, how long their prompts and their answers were.

A CSV file, plain or gzipped, with the columns of the public Azure LLM inference traces: `TIMESTAMP,ContextTokens,
GeneratedTokens`, times as ISO 8601.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from policies.errors import DocumentError
from policies.simulation.tables import inflated

__all__ = ("Trace", "merged", "parse_trace")

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

_HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens"


@dataclass(frozen=True, kw_only=True)
class Trace:
    """n arrivals, in order."""

    arrives_s: F64
    """Seconds since the first one of all traces that are merged, or since 1970; rising."""
    prompt_tokens: I64
    completion_tokens: I64
    origin: I64
    """Number of the file each came from."""

    def __len__(self) -> int:
        return len(self.arrives_s)

    def take(self, rows: slice | I64) -> Self:
        """Some of them."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def parse_trace(data: bytes, *, name: str) -> Trace:
    """Read one file.

    Raises:
        DocumentError: The header or a line is not as it should be; names the line. Or there is no arrival.
    """
    lines = inflated(data, name=name).decode("utf-8", "replace").split("\n")
    if lines[0].strip() != _HEADER:
        raise DocumentError(source_name=name, line=1, column=1, what=f"expected the header `{_HEADER}`")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if line.strip():
            try:
                at, prompt, completion = line.strip().split(",")
                rows.append((np.datetime64(at, "ns").astype(np.int64), int(prompt), int(completion)))
            except ValueError as error:
                raise DocumentError(source_name=name, line=number, column=1, what=str(error)) from None
    if not rows:
        raise DocumentError(source_name=name, line=1, column=1, what="the trace has no arrivals")
    at_ns, prompts, completions = (np.array(column, np.int64) for column in zip(*sorted(rows), strict=True))
    return Trace(
        arrives_s=at_ns / 1e9,
        prompt_tokens=np.maximum(prompts, 1),
        completion_tokens=np.maximum(completions, 1),
        origin=np.zeros(len(rows), np.int64),
    )


def merged(traces: Sequence[Trace], *, requests: int | None = None) -> Trace:
    """All arrivals in their order, each marked with its trace; the first so many of them."""
    columns = {
        field.name: np.concatenate([getattr(trace, field.name) for trace in traces]) for field in fields(Trace)
    }
    columns["origin"] = np.repeat(np.arange(len(traces)), [len(trace) for trace in traces])
    columns["arrives_s"] = columns["arrives_s"] - columns["arrives_s"].min()
    order = np.argsort(columns["arrives_s"], kind="stable")[:requests]
    return Trace(**{name: column[order] for name, column in columns.items()})
