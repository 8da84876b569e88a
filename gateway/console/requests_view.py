"""The list of kept requests: its filters as they stand in the address, its rows, and what costs most time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.console.amounts import moment, percent, seconds
from gateway.console.filters import ORDERS, WINDOWS, Field, Filters, fields_of
from gateway.telemetry.blame import CAUSES
from gateway.traces.query import Blamed
from gateway.traces.types import TraceSummary

__all__ = ("CauseView", "RequestsView", "RowView", "requests_view")


@dataclass(frozen=True, kw_only=True)
class CauseView:
    """What one stage costs, all kept requests together."""

    stage: str
    meaning: str
    requests: str
    took: str
    share: str
    """Of all that time, in [0, 100], for the picture."""
    percent: str
    url: str


@dataclass(frozen=True, kw_only=True)
class RowView:
    """One request."""

    id: str
    when: str
    tenant: str
    variant: str
    took: str
    stage: str
    stage_took: str
    share: str
    """Of the time, that went to the stage: in [0, 100], for the picture."""
    percent: str
    error: str
    kept: str


@dataclass(frozen=True, kw_only=True)
class RequestsView:
    """The page of the list."""

    fields: tuple[Field, ...]
    causes: tuple[CauseView, ...]
    rows: tuple[RowView, ...]
    order: str
    first_url: str | None
    next_url: str | None
    empty: str
    """What to say where there are no rows."""


def requests_view(
    filters: Filters,
    rows: Iterable[TraceSummary],
    *,
    next_cursor: str | None,
    blamed: Sequence[Blamed],
    names: Mapping[str, Sequence[str]],
    errors: Mapping[str, str],
    anything: bool,
) -> RequestsView:
    """The page.

    Args:
        filters: What it is narrowed to.
        rows: Its requests.
        next_cursor: Where the next page begins; None after the last.
        blamed: Stage, requests and seconds there, for the same conditions.
        names: Known tenants and variants, by field.
        errors: What is wrong with conditions that were left out.
        anything: Whether any trace was ever kept.
    """
    return RequestsView(
        fields=fields_of(filters, names, errors),
        causes=_causes(filters, blamed),
        rows=tuple(_row(row) for row in rows),
        order=ORDERS[filters.order],
        first_url=filters.url(cursor=None) if filters.cursor else None,
        next_url=filters.url(cursor=next_cursor) if next_cursor else None,
        empty=_empty(filters, anything=anything),
    )


def _causes(filters: Filters, blamed: Sequence[Blamed]) -> tuple[CauseView, ...]:
    whole_s = sum(cause.seconds for cause in blamed)
    return tuple(
        CauseView(
            stage=cause.stage,
            meaning=CAUSES.get(cause.stage, ""),
            requests=f"{cause.requests:,}",
            took=seconds(cause.seconds),
            share=f"{100 * cause.seconds / whole_s if whole_s else 0.0:.1f}",
            percent=percent(cause.seconds / whole_s if whole_s else 0.0),
            url=filters.url(stage=cause.stage, cursor=None),
        )
        for cause in blamed[:6]
    )


def _row(row: TraceSummary) -> RowView:
    share = min(1.0, row.stage_s / row.duration_s) if row.duration_s > 0 else 0.0
    return RowView(
        id=row.span_id,
        when=moment(row.started_at_s),
        tenant=row.tenant or "nobody",
        variant=row.variant or "none",
        took=seconds(row.duration_s),
        stage=row.stage,
        stage_took=seconds(row.stage_s),
        share=f"{share * 100:.1f}",
        percent=percent(share),
        error=row.error_type or "",
        kept=row.kept,
    )


def _empty(filters: Filters, *, anything: bool) -> str:
    """Why there is nothing, and what to do about it."""
    if not anything:
        return (
            "No trace has been kept yet. Requests that are slow, fail or need several variants are kept, and a"
            " share of the others (`telemetry.traces.sample`): send one, and it is here a second after its answer."
        )
    if filters.window != "all" and filters.cursor is None:
        when = "" if filters.until is None else f" until {filters.until:%Y-%m-%d %H:%M}"
        return (
            f"None in {WINDOWS[filters.window][0]}{when} meets these conditions: choose a longer time, or clear a"
            " filter."
        )
    return "None meets these conditions: clear a filter."
