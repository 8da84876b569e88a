"""Traces as a person reads them in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

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

MAX_WIDTH = 120
"""Characters that are used of a wide terminal; one of 80 has room for everything too."""

SHORTEST = 0.005
"""Of the request's time: shorter spans are left out unless all are wanted, since a request has a dozen of those."""

FIGURE_WIDTH = 10


def print_list(rows: Sequence[TraceSummary]) -> None:
    """A line or two for each request; its id is that of its first span, the shortest that `show` takes."""
    console = _console()
    if not rows:
        console.print(
            "no trace of this kind is kept: slow, failed and escalated requests are, and a sample of the rest"
        )
        return
    table = _table("request", "when (UTC)", "took", "to blame", "kept as", "tenant, variant")
    for column in table.columns[:4]:
        column.no_wrap = True
    for row in rows:
        blamed = f"{row.stage} {seconds(row.stage_s)}"
        kept = f"{row.kept}, {row.error_type}" if row.error_type else row.kept
        who = f"{row.tenant or 'nobody'}, {row.variant or 'none'}"
        cells = (row.span_id, moment(row.started_at_s)[5:], seconds(row.duration_s), blamed, kept, who)
        table.add_row(*map(escape, cells))
    console.print(table)


def print_trace(trace: TraceRow, record: Record | None, *, every_span: bool = False) -> None:
    """A waterfall, and who else could have answered.

    Args:
        trace: The request.
        record: Its decision, where there was one.
        every_span: Show the shortest ones too.
    """
    console = _console()
    ended = f" and ended in {trace.error_type}" if trace.error_type else ""
    console.print(
        f"{moment(trace.started_at_s)}  {shown(trace.tenant)} asked {shown(trace.route)}: answered by"
        f" {shown(trace.variant)} in {seconds(trace.duration_s)}{escape(ended)} (kept: {trace.kept})"
    )
    meaning = CAUSES.get(trace.stage, trace.stage)
    console.print(f"to blame: {trace.stage}, {seconds(trace.stage_s)} of it: {meaning}\n")
    for name in ("request_id", "trace_id", "decision_id"):
        console.print(f"{name.removesuffix('_id'):<10}{shown(getattr(trace, name))}", soft_wrap=True)
    bars = waterfall(trace)
    told = [bar for bar in bars if every_span or _tells(bar)]
    console.print("", _waterfall(told, width=console.width))
    if len(told) < len(bars):
        console.print(f"{len(bars) - len(told)} spans that took next to nothing are left out; --all shows them")
    if record is not None and record.decision.candidates:
        _print_candidates(console, record.decision)


def drawn(bar: Bar, width: int) -> str:
    """A bar in so many characters; what took any time has at least one."""
    begins = min(int(bar.offset * width), width - 1)
    ends = max(begins + 1, round((bar.offset + bar.width) * width))
    return " " * begins + ("█" if bar.blamed else "▒") * (min(ends, width) - begins)


def shown(value: str | None) -> str:
    """A text that may hold anything, as it is."""
    return "-" if value is None else escape(value)


def _console() -> Console:
    console = Console(highlight=False)
    console.width = min(console.width, MAX_WIDTH)
    return console


def _table(*names: str) -> Table:
    return Table(*names, box=None, pad_edge=False, padding=(0, 2, 0, 0))


def _tells(bar: Bar) -> bool:
    """Whether a span says something of the request that a person wants to know."""
    important = bar.blamed or bar.error_type is not None or bar.name in {"request", "attempt"}
    return important or bar.width >= SHORTEST


def _waterfall(bars: Sequence[Bar], *, width: int) -> Table:
    labels = [f"{'  ' * bar.depth}{bar.label}{_mark(bar)}" for bar in bars]
    left = width - max(map(len, labels), default=0) - 2 * FIGURE_WIDTH - 2
    table = _table("span", "begins", "takes", "█ is to blame")
    for column in table.columns[1:]:
        column.no_wrap = True
    for bar, label in zip(bars, labels, strict=True):
        table.add_row(escape(label), seconds(bar.began_s), seconds(bar.duration_s), drawn(bar, max(left, 10)))
    return table


def _mark(bar: Bar) -> str:
    return f" ({bar.error_type})" if bar.error_type else ""


def _print_candidates(console: Console, decision: DecisionRow) -> None:
    console.print(f"\ncandidates under policy {escape(decision.policy_hash)}")
    views = candidates(decision)
    table = _table("variant", "state", "quality", "ttft", "latency", "cost", "propensity")
    for view in views:
        cells = (view.variant, view.state, view.quality, view.ttft, view.latency, view.cost, view.propensity)
        table.add_row(*map(escape, cells))
    console.print(table, "")
    for view in views:
        console.print(f"{escape(view.variant)}: {escape(view.why)}")
