"""The results of a calibration as a person reads them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from gateway.learning.calibrated import Result

__all__ = ("print_results", "result_rows")


def result_rows(results: Sequence[Result]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: a variant's score by family, its times and its cost; a dash for what is not known."""
    families = sorted({family for result in results for family in result.families})
    columns = ["variant", "answers", "score", *families, "TTFT ms", "ms/token", "$/1000"]
    return columns, [_row(result, families) for result in results]


def print_results(results: Sequence[Result]) -> None:
    """Write the table to standard output."""
    columns, rows = result_rows(results)
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    # Output that goes into a file or a pipe has no width of its own; cells are not to be cut for that.
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _row(result: Result, families: Sequence[str]) -> list[str]:
    scores = [result.score, *(result.families.get(family) for family in families)]
    times = [None if value is None else value * 1000 for value in (result.ttft_s, result.tpot_s)]
    return [
        result.variant,
        str(result.answered),
        *("-" if score is None else f"{score:.2f}" for score in scores),
        *("-" if time is None else f"{time:.1f}" for time in times),
        f"{result.cost_usd * 1000:.4f}",
    ]
