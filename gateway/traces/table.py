"""The table of kept traces, and a trace as its columns."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
import sqlalchemy as sa

from gateway.decisions.schema import metadata
from gateway.traces.types import KeptSpan, TraceRow

__all__ = ("columns_of", "packed", "trace_of", "traces", "unpacked")

traces = sa.Table(
    "traces",
    metadata,
    sa.Column("span_id", sa.String(16), primary_key=True),
    sa.Column("trace_id", sa.String(32), nullable=False, index=True),
    sa.Column("request_id", sa.String(64), nullable=False, index=True),
    sa.Column("decision_id", sa.String(64), index=True),
    sa.Column("tenant", sa.String(64)),
    sa.Column("variant", sa.String(64)),
    sa.Column("route", sa.String(64), nullable=False),
    sa.Column("started_at_s", sa.Double, nullable=False, index=True),
    sa.Column("duration_s", sa.Double, nullable=False, index=True),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("error_type", sa.String(64)),
    sa.Column("kept", sa.String(16), nullable=False),
    sa.Column("stage", sa.String(32), nullable=False),
    sa.Column("stage_s", sa.Double, nullable=False),
    sa.Column("spans", sa.LargeBinary, nullable=False),
    sa.Column("bytes", sa.Integer, nullable=False),
    sa.Index("ix_traces_tenant_started_at_s", "tenant", "started_at_s"),
    sa.Index("ix_traces_variant_started_at_s", "variant", "started_at_s"),
    sa.Index("ix_traces_stage_started_at_s", "stage", "started_at_s"),
)
"""`spans` is compressed JSON; `bytes` is about what the row takes."""

ROW_BYTES = 400
"""Of a row and its index entries, besides the spans."""

_encode = msgspec.json.Encoder(enc_hook=str).encode
_decoder = msgspec.json.Decoder(tuple[KeptSpan, ...])


def packed(spans: tuple[KeptSpan, ...]) -> bytes:
    """The spans as they are stored."""
    return zlib.compress(_encode(spans), level=1)


def unpacked(data: bytes) -> tuple[KeptSpan, ...]:
    """The spans that were stored."""
    return _decoder.decode(zlib.decompress(data))


def columns_of(trace: TraceRow) -> dict[str, Any]:
    """A trace as it is inserted. PostgreSQL has no text with a NUL in it."""
    spans = packed(trace.spans)
    told = {name: getattr(trace, name) for name in trace.__struct_fields__ if name != "spans"}
    told = {name: value.replace("\0", "\ufffd") if isinstance(value, str) else value for name, value in told.items()}
    return told | {"spans": spans, "bytes": len(spans) + ROW_BYTES}


def trace_of(row: sa.Row[Any]) -> TraceRow:
    """A trace from its columns."""
    told = {name: row._mapping[name] for name in TraceRow.__struct_fields__ if name != "spans"}
    return TraceRow(**told, spans=unpacked(row._mapping["spans"]))
