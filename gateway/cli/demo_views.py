"""What `trilemma demo` shows: a live table on a terminal, plain lines elsewhere, and the report at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from gateway.console.amounts import seconds as shown_seconds
from gateway.demo.client import Promise, SlowRequest
from gateway.demo.comparison import AnsweredTask, Comparison, Difference, against_best_fixed, shares
from gateway.demo.recordings import MODELS, RecordedTask
from gateway.demo.report import ConsoleAccess, DemoReport, TenantReport
from gateway.demo.traffic import TENANTS, DemoTenant, prices_of

__all__ = ("print_report", "print_start", "traffic_progress")

LATEST = 60
"""Shares on the way are of a tenant's latest answers."""

TABLE_EVERY_S, LINE_EVERY_S = 1.0, 10.0

_PROMISES = {"ttft_p95_s": "p95 of the first token at most {:g} s", "mean_quality": "mean quality at least {:g}"}


class Tell(Protocol):
    """Takes the state of the traffic after each answer."""

    def __call__(self, answered: Sequence[AnsweredTask], *, failed: int) -> None:
        """Show it, if it is time."""


def print_start(access: ConsoleAccess, *, speed: float, seconds: float, tasks: int) -> None:
    """Say what runs, and how to open the console; to standard error, before the traffic."""
    pace = "at the recorded pace" if speed == 1.0 else f"{speed:g} times as fast as recorded"
    told = "The gateway is told their prices and speeds, and the same quality of 0.5 for each."
    lines = [
        f"Recorded answers of three real models to {tasks} prompts are replayed {pace}. {told}",
        *(f"  {tenant.id}: {tenant.about}." for tenant in TENANTS),
        f"Console: {access.url}  (what was learned: {access.learning_url})",
        f"Sign in with this operator key, which ends after a day: {access.operator_key}",
        f"Traffic for {seconds:g} seconds; Ctrl-C stops everything.",
        "",
    ]
    click.echo("\n".join(lines), err=True)


@contextmanager
def traffic_progress(tasks: Sequence[RecordedTask], *, total: int) -> Iterator[Tell]:
    """A way to show how the traffic goes, on standard error."""
    if sys.stderr.isatty():
        with Live(console=Console(stderr=True), auto_refresh=False) as live:

            def redraw(answered: Sequence[AnsweredTask], failed: int) -> None:
                live.update(_table(answered, tasks, total=total, failed=failed), refresh=True)

            yield _Paced(redraw, every_s=TABLE_EVERY_S, total=total)
    else:

        def write(answered: Sequence[AnsweredTask], failed: int) -> None:
            click.echo(_line(answered, tasks, total=total, failed=failed), err=True)

        yield _Paced(write, every_s=LINE_EVERY_S, total=total)


class _Show(Protocol):
    def __call__(self, answered: Sequence[AnsweredTask], failed: int) -> None: ...


class _Paced:
    """Shows the state now and then, and when all is answered."""

    def __init__(self, show: _Show, *, every_s: float, total: int) -> None:
        self._show = show
        self._every_s = every_s
        self._total = total
        self._next_s = 0.0

    def __call__(self, answered: Sequence[AnsweredTask], *, failed: int) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_s or len(answered) + failed == self._total:
            self._next_s = now_s + self._every_s
            self._show(answered, failed)


def print_report(report: DemoReport, *, kept: bool) -> None:
    """The whole report, in words."""
    pace = "" if report.speed == 1.0 else f", models {report.speed:g} times as fast as recorded"
    click.echo(f"\n{report.requests} requests in {report.seconds:g} s{pace}; {report.failed} failed.")
    for error in report.errors:
        click.echo(f"  {error}")
    for tenant in report.tenants:
        _print_tenant(tenant)
    _print_slow(report.slow, report.console)
    if not kept:
        click.echo("\nThe gateway has stopped; `trilemma demo --keep` leaves it running for a look at the console.")


def _print_tenant(of: TenantReport) -> None:
    click.echo(f"\n{of.tenant} (priority `{of.priority}`): {of.requests} requests")
    width = max(map(len, MODELS))
    click.echo(f"  {'':<{width}}  first third  last third")
    for model in MODELS:
        first, last = of.shares_first_third[model], of.shares_last_third[model]
        click.echo(f"  {model:<{width}}  {first:>10.0%}  {last:>10.0%}")
    if of.utility is not None:
        _print_utility(of, of.utility)
    for promise in of.promises:
        click.echo(f"  {_promise(promise)}")


def _print_utility(of: TenantReport, found: Comparison) -> None:
    prices = of.prices
    what = "utility" if prices.per_s or prices.per_usd else "quality"
    click.echo(
        f"  {what} {found.realised:.3f}; always `{found.best_fixed}` has {found.fixed:.3f}:"
        f" {_difference(found.difference)}; in the last third {_difference(found.last_third)}"
    )
    if what == "utility":
        click.echo(f"  (utility: quality less {prices.per_usd:.0f} per dollar and {prices.per_s:.3f} per second)")


def _difference(of: Difference) -> str:
    bounds = "" if of.low is None else f" (90 %: {of.low:+.3f} to {of.high:+.3f})"
    return f"{of.mean:+.3f}{bounds}"


def _promise(of: Promise) -> str:
    named = _PROMISES.get(of.promise, f"{of.promise} {{:g}}").format(of.limit)
    now = "no value yet" if of.now is None else f"{of.now:.3g} now ({of.now_verdict})"
    ended = f", kept in {of.kept} of {of.kept + of.broken} ended windows" if of.kept + of.broken else ""
    return f"promise: {named}: {now}{ended}"


def _print_slow(of: SlowRequest | None, access: ConsoleAccess) -> None:
    if of is None:
        click.echo("\nNo slow request was kept.")
        return
    click.echo(f"\nA slow request, {of.request_id} of {of.tenant}: {shown_seconds(of.took_s)}. {of.sentence}")
    click.echo(f"  {access.url.removesuffix('/console')}{of.path}")


def _table(answered: Sequence[AnsweredTask], tasks: Sequence[RecordedTask], *, total: int, failed: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.title = f"{len(answered)} of {total} requests" + (f", {failed} failed" if failed else "")
    for name in ("tenant", *MODELS, "against the best fixed model (90 %)"):
        table.add_column(name)
    for tenant in TENANTS:
        own = _own(answered, tenant)
        mix = shares(own[-LATEST:])
        cells = (f"{mix[model]:.0%}" for model in MODELS)
        table.add_row(tenant.id, *cells, _against(own, tenant, tasks))
    return table


def _line(answered: Sequence[AnsweredTask], tasks: Sequence[RecordedTask], *, total: int, failed: int) -> str:
    told = [f"{len(answered)} of {total} requests" + (f", {failed} failed" if failed else "")]
    for tenant in TENANTS:
        own = _own(answered, tenant)
        mix = ", ".join(f"{share:.0%} {model}" for model, share in shares(own[-LATEST:]).items())
        told.append(f"{tenant.id}: {mix}; {_against(own, tenant, tasks)}")
    return " | ".join(told)


def _against(own: Sequence[AnsweredTask], tenant: DemoTenant, tasks: Sequence[RecordedTask]) -> str:
    found = against_best_fixed(own, tasks, prices_of(tenant, tasks))
    return "-" if found is None else f"{_difference(found.difference)} against {found.best_fixed}"


def _own(answered: Sequence[AnsweredTask], tenant: DemoTenant) -> list[AnsweredTask]:
    return [answer for answer in answered if answer.tenant == tenant.id]
