"""Figures of learning as a person reads them in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.console.amounts import NONE, moment, percent
from gateway.console.learning_view import LearningView, TrainingRow, learning_view
from gateway.learning.learning_report import LearningReport
from policies.evaluation.learning_types import Shares

__all__ = ("print_learning",)

MAX_WIDTH = 120
"""Characters that are used of a wide terminal; one of 80 has room for everything too."""

MAX_SHARE_LINES = 12
SHOWN_TRAININGS = 5


def print_learning(report: LearningReport) -> None:
    """The headline, what weakens it, and the tables behind it."""
    console = Console(highlight=False)
    console.width = min(console.width, MAX_WIDTH)
    view = learning_view(report)
    console.print(escape(_plain(view.headline)), style=_STYLES[view.tone])
    for caveat in view.caveats:
        console.print(f"- {escape(_plain(caveat))}")
    if view.fixed:
        _section(console, f"Routing ({view.routed} realised) against always one variant", _fixed(view))
    if view.predictions:
        _section(console, "Quality: predicted → realised, and times and cost over what was predicted", _quality(view))
        _section(
            console, "Times: predicted median → realised mean, and answers below what was predicted", _times(view)
        )
        _section(console, "Shares of the requests by time (UTC)", _shares(report.figures.shares))
        _section(console, "What exploring cost, by the predictions", _costs(view))
    console.print("\n[bold]Trainings[/]")
    for row in view.trainings[:SHOWN_TRAININGS]:
        for line in _training(row):
            console.print(line)
    if not view.trainings:
        console.print("none yet: cards and stated figures are predicted with, and every judged answer")


_STYLES = {"good": "green", "warn": "yellow", "bad": "red", "": "bold"}


def _plain(text: str) -> str:
    """Names without the backticks of a page."""
    return text.replace("`", "")


def _section(console: Console, title: str, table: Table) -> None:
    console.print(f"\n[bold]{escape(title)}[/]")
    console.print(table)


def _table(*columns: str, rows: Iterable[tuple[str, ...]]) -> Table:
    """The first column to the left, figures to the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def _fixed(view: LearningView) -> Table:
    return _table(
        "always",
        "utility",
        "routing less that",
        "answers",
        "",
        rows=(
            (f"{row.variant}{' (best)' if row.best else ''}", row.utility, row.difference, row.answers, row.note)
            for row in view.fixed
        ),
    )


def _quality(view: LearningView) -> Table:
    return _table(
        "variant",
        "judged",
        "quality",
        "difference",
        "latency",
        "ttft",
        "cost",
        rows=(
            (r.variant, r.judged, r.quality, r.quality_off, r.latency_ratio, r.ttft_ratio, r.cost_ratio)
            for r in view.predictions
        ),
    )


def _times(view: LearningView) -> Table:
    return _table(
        "variant",
        "latency",
        "first token",
        "below median",
        "below p95",
        rows=((r.variant, r.latency, r.ttft, r.below_median, r.below_high) for r in view.predictions),
    )


def _costs(view: LearningView) -> Table:
    return _table(
        "requests",
        "not to the best",
        "points each",
        "in all",
        "dollars",
        "seconds",
        rows=((r.what, r.requests, r.points, r.all_points, r.usd, r.s) for r in view.costs),
    )


def _shares(shares: Shares) -> Table:
    """Neighbouring bins together, so that the lines are few."""
    names = list(shares.counts)
    step = -(-len(shares.begins_s) // MAX_SHARE_LINES)
    return _table("from", "requests", *names, rows=_share_lines(shares, step=max(1, step)))


def _share_lines(shares: Shares, *, step: int) -> Iterator[tuple[str, ...]]:
    for first in range(0, len(shares.begins_s), step):
        counts = [sum(found[first : first + step]) for found in shares.counts.values()]
        total = sum(counts)
        cells = (percent(count / total) if total else NONE for count in counts)
        yield (moment(shares.begins_s[first])[5:16], f"{total:,}", *cells)


def _training(row: TrainingRow) -> Iterator[str]:
    yield f"{row.number}, {row.when}: {escape(row.did)}"
    for verdict in row.verdicts:
        did = "put in force" if verdict.promoted else "not put in force"
        yield f"  {escape(verdict.kind)} {did}: {escape(_plain(verdict.because))}"
