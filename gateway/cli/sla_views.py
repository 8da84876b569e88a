"""Showing reports on promises for `trilemma tenants sla`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import click

from gateway.ledger.book import Spending
from gateway.sla.report import SlaReport
from policies.promises.attainment import Attainment, Promise, Verdict

__all__ = ("print_reports",)

_NAMES: dict[Promise, str] = {
    "ttft_p95_s": "p95 first token",
    "latency_p95_s": "p95 latency",
    "mean_quality": "mean quality",
    "availability": "availability",
    "max_cost_usd": "dearest request",
}
_MARKS: dict[Verdict, str] = {"kept": "#", "broken": "!", "quiet": "."}
_COLOURS: dict[Verdict, str] = {"kept": "green", "broken": "red", "quiet": "dim"}
_SHOWN = 24
"""Windows of the strip; the counts are of all."""


def print_reports(reports: Sequence[SlaReport]) -> None:
    """One table of all promises, then what each tenant has spent and how sure its quality is."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    columns = ("tenant", "promise", "promised", "now", "so far", "windows, latest last", "kept", "may still break")
    table = Table(*columns, "burn short/long", box=None, pad_edge=False)
    for report in reports:
        for place, of in enumerate(report.promises):
            table.add_row(report.tenant if place == 0 else "", *_row(of))
    if any(report.promises for report in reports):
        console.print(table)
        click.echo(
            "\n# kept  ! broken  . no request that says anything; burn: at 1 the errors that may be are just used up"
        )
    for report in reports:
        click.echo(_summary(report))


def _row(of: Attainment) -> tuple[str, ...]:
    shown = _value(of.promise)
    at_least = of.promise in {"mean_quality", "availability"}
    colour = _COLOURS[of.now_verdict]
    strip = "".join(f"[{_COLOURS[verdict]}]{_MARKS[verdict]}[/]" for verdict in of.windows[-_SHOWN:])
    return (
        _NAMES[of.promise],
        f"{'>=' if at_least else '<='} {shown(of.limit)}",
        "-" if of.now is None else shown(of.now),
        f"[{colour}]{of.now_verdict}[/]",
        strip,
        f"{of.kept} of {of.kept + of.broken}",
        f"{of.may_still_break:.2f} windows" + ("" if of.budget_left is None else f", {of.budget_left:.0%} of errors"),
        "-" if of.allowance is None else f"{_rate(of.burn_short)} / {_rate(of.burn_long)}",
    )


def _summary(report: SlaReport) -> str:
    """What the table does not say of a tenant."""
    since = datetime.fromtimestamp(report.since_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
    said = [f"{report.requests} requests since {since}"]
    if not report.promises:
        said.append("nothing was promised")
    if report.observed_share is not None:
        said.append(f"quality judged for {report.observed_share:.1%} of the answers, predicted for the rest")
    if report.budget is not None:
        said.append(_spent(report.budget, now_s=report.now_s))
    return f"{report.tenant}: {'; '.join(said)}"


def _spent(budget: Spending, *, now_s: float) -> str:
    gone_usd = budget.usd - budget.left_usd - budget.held_usd
    passed = (now_s - budget.began_s) / (budget.ends_s - budget.began_s)
    return (
        f"{gone_usd:.6g} of {budget.usd:.6g} USD spent ({gone_usd / budget.usd:.0%}), {passed:.0%} of the period gone"
    )


def _value(promise: Promise) -> Callable[[float], str]:
    if promise in {"ttft_p95_s", "latency_p95_s"}:
        return "{:.3g} s".format
    if promise == "availability":
        return lambda value: f"{100.0 * value:.5g} %"
    return "{:.3f}".format if promise == "mean_quality" else "{:.3g} USD".format


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.1f}"
