"""Traces as a person reads them in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.console.amounts import moment, seconds
from gateway.console.candidates import candidates
from gateway.decisions.types import DecisionRow, Record
from gateway.telemetry.blame import CAUSES
from gateway.traces.types import TraceRow, TraceSummary
from gateway.traces.waterfall import Bar, waterfall

__all__ = ("print_list", "print_trace")

WIDTH = 40
"""Characters of a waterfall's bars."""


def print_list(rows: Sequence[TraceSummary]) -> None:
    """One line a request."""
    console = Console()
    if not rows:
        console.print(
            "no trace of this kind is kept: slow, failed and escalated requests are, and a sample of the rest"
        )
        return
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("when", "tenant", "variant", "took", "to blame", "there", "kept", "error", "request"):
        table.add_column(name, justify="right" if name in {"took", "there"} else "left", no_wrap=name == "request")
    for row in rows:
        cells = (row.tenant, row.variant, seconds(row.duration_s), row.stage, seconds(row.stage_s), row.kept)
        table.add_row(moment(row.started_at_s), *map(shown, cells), shown(row.error_type), shown(row.request_id))
    console.print(table)


def print_trace(trace: TraceRow, record: Record | None) -> None:
    """A waterfall, and who else could have answered."""
    console = Console()
    ended = f" and ended in {trace.error_type}" if trace.error_type else ""
    console.print(
        f"{moment(trace.started_at_s)}  {shown(trace.tenant)} asked {shown(trace.route)}: answered by"
        f" {shown(trace.variant)} in {seconds(trace.duration_s)}{ended} (kept: {trace.kept})"
    )
    meaning = CAUSES.get(trace.stage, trace.stage)
    console.print(f"to blame: {trace.stage}, {seconds(trace.stage_s)} of it: {meaning}")
    console.print(f"request {shown(trace.request_id)}  trace {trace.trace_id}  decision {shown(trace.decision_id)}\n")
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("span", "begins", "takes", "from beginning to end"):
        table.add_column(name, justify="right" if name in {"begins", "takes"} else "left", no_wrap=True)
    for bar in waterfall(trace):
        table.add_row(_label(bar), seconds(bar.began_s), seconds(bar.duration_s), drawn(bar, WIDTH))
    console.print(table)
    if record is not None and record.decision.candidates:
        console.print(_candidates(record.decision))


def drawn(bar: Bar, width: int) -> str:
    """A bar in so many characters; what took any time has at least one."""
    begins = min(int(bar.offset * width), width - 1)
    ends = max(begins + 1, round((bar.offset + bar.width) * width))
    return " " * begins + ("█" if bar.blamed else "▒") * (min(ends, width) - begins)


def shown(value: str | None) -> str:
    """A text that may hold anything, as it is."""
    return "-" if value is None else escape(value)


def _label(bar: Bar) -> str:
    mark = " <- to blame" if bar.blamed else f" ({bar.error_type})" if bar.error_type else ""
    return escape(f"{'  ' * bar.depth}{bar.label}{mark}")


def _candidates(decision: DecisionRow) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=f"candidates under policy {decision.policy_hash}", title_justify="left")
    names = ("variant", "state", "quality", "ttft", "latency", "cost", "propensity", "why")
    for name in names:
        table.add_column(name)
    for view in candidates(decision):
        cells = (
            view.variant,
            view.state,
            view.quality,
            view.ttft,
            view.latency,
            view.cost,
            view.propensity,
            view.why,
        )
        table.add_row(*map(escape, cells))
    return table
