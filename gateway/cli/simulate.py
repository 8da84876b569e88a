"""`trilemma simulate`: hold the learned policy against others on tables of known outcomes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backends.progress import Progress, ProgressSink
from gateway.cli.context import failures, print_json
from gateway.cli.progress import progress_sink

if TYPE_CHECKING:
    from policies.simulation.queries import Told
    from policies.simulation.results import Result
    from policies.simulation.run import Options, Protocol
    from policies.simulation.tables import Table

__all__ = ("simulate",)

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_NEW_FILE = click.Path(path_type=Path, dir_okay=False)
_PROTOCOLS = ("apgr", "aiq", "budget", "bandit", "cold", "frozen", "sla")
_PICTURES = ("png", "svg", "pdf")


def _picture(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and path.suffix.removeprefix(".") not in _PICTURES:
        raise click.BadParameter(f"a picture's name ends in .{', .'.join(_PICTURES)}")
    return path


@click.command()
@click.argument("tables", nargs=-1, required=True, type=_FILE, metavar="TABLE...")
@click.option("--protocol", type=click.Choice(_PROTOCOLS), required=True, help="What is asked; see docs/routing.md.")
@click.option("--warm", type=_FILE, help="`budget`: a table all of whose outcomes are known beforehand.")
@click.option("--budget", "budgets_usd", help="`budget`: dollars a request, several separated by commas.")
@click.option("--seeds", type=click.IntRange(min=1), help="Orders, folds or streams; each protocol has its default.")
@click.option("--trace", "traces", multiple=True, type=_FILE, help="`sla`: arrivals, as a CSV file; repeatable.")
@click.option(
    "--requests",
    type=click.IntRange(min=50),
    help="Length of the stream of `bandit` and `cold`, or of the trace of `sla`.",
)
@click.option("--knee", is_flag=True, help="`cold`: money counts too, at the price where `balanced` stands.")
@click.option("--methods", help="Only these, separated by commas.")
@click.option("--tag/--no-tag", "tagged", default=True, show_default=True, help="Give a row's source as a tag.")
@click.option("--plot", callback=_picture, type=_NEW_FILE, help="Draw the frontier: .png, .svg or .pdf.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def simulate(
    tables: tuple[Path, ...],
    protocol: Protocol,
    *,
    warm: Path | None,
    budgets_usd: str | None,
    seeds: int | None,
    traces: tuple[Path, ...],
    requests: int | None,
    knee: bool,
    methods: str | None,
    tagged: bool,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Replay tables of known outcomes, and compare the learned policy with every baseline."""
    from threadpoolctl import threadpool_limits

    from policies.errors import PolicyError
    from policies.simulation.report import markdown

    options = _options(
        warm, budgets_usd, traces=traces, seeds=seeds, requests=requests, knee=knee, methods=methods, tagged=tagged
    )
    # The arrays are small: a second thread would spend its time waiting.
    with failures(PolicyError, ValueError), _extra(), threadpool_limits(1), progress_sink() as sink:
        results = [_simulated(_table(path), protocol, options, _teller(path, sink)) for path in tables]
        if plot is not None:
            _draw(results, plot)
    if as_json:
        print_json(results[0] if len(results) == 1 else {"tables": results})
    else:
        click.echo("\n\n".join(markdown(result) for result in results))


def _options(
    warm: Path | None,
    budgets_usd: str | None,
    *,
    traces: tuple[Path, ...],
    seeds: int | None,
    requests: int | None,
    knee: bool,
    methods: str | None,
    tagged: bool,
) -> Options:
    from policies.errors import PolicyError
    from policies.simulation.catalogue import METHODS, chosen
    from policies.simulation.protocols.budget import PUBLISHED_BUDGETS_USD
    from policies.simulation.run import Options
    from policies.simulation.traces import parse_trace

    names = [name.strip() for name in methods.split(",")] if methods else []
    for name in names:
        if name not in METHODS:
            raise click.UsageError(f"there is no method `{name}`; known: {', '.join(METHODS)}")
    with failures(PolicyError):
        return Options(
            methods=chosen(names),
            seeds=seeds,
            warm=None if warm is None else _table(warm),
            budgets_usd=PUBLISHED_BUDGETS_USD if budgets_usd is None else _budgets(budgets_usd),
            traces=[parse_trace(path.read_bytes(), name=str(path)) for path in traces],
            requests=requests,
            knee=knee,
            tagged=tagged,
        )


def _budgets(text: str) -> list[float]:
    try:
        budgets_usd = [float(part) for part in text.split(",")]
    except ValueError:
        budgets_usd = []
    if not budgets_usd or not all(0.0 < budget_usd < float("inf") for budget_usd in budgets_usd):
        raise click.UsageError(f"--budget takes dollars above 0, separated by commas, not `{text}`")
    return budgets_usd


def _table(path: Path) -> Table:
    from policies.simulation.tables import parse

    return replace(parse(path.read_bytes(), name=str(path)), name=_stem(path))


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".jsonl")


def _simulated(table: Table, protocol: Protocol, options: Options, told: Told) -> Result:
    from policies.simulation.run import simulate as run

    return run(table, protocol, options, now_ns=time.perf_counter_ns, told=told)


def _teller(path: Path, sink: ProgressSink) -> Told:
    """Progress of one table: a bar for each method."""

    def told(stage: str, done: float) -> None:
        sink(Progress(variant=_stem(path), stage=stage, done=done))

    return told


def _draw(results: list[Result], plot: Path) -> None:
    """One picture; of several tables one each, named after them."""
    from policies.simulation.plot import draw

    kind = plot.suffix.removeprefix(".")
    for result in results:
        path = plot if len(results) == 1 else plot.with_stem(f"{plot.stem}-{result.table}")
        path.write_bytes(draw(result, "svg" if kind == "svg" else "pdf" if kind == "pdf" else "png"))


@contextmanager
def _extra() -> Iterator[None]:
    """Say which extra brings the libraries that are not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("simpy", "matplotlib"):
            raise
        needed = f"{error.name} is not installed; `pip install 'trilemma[simulation]'` brings it"
        raise click.ClickException(needed) from None
