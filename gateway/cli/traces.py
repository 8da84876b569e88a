"""`trilemma traces`: the requests that were slow or went wrong, and what each spent its time on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.context import CliContext, failures, print_json
from gateway.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

__all__ = ("traces",)


@click.group()
def traces() -> None:
    """Look at requests whose traces were kept: slow, failed and escalated ones, and a sample of the rest."""


@traces.command()
@click.option("--tenant", default=None, help="Of this tenant.")
@click.option("--variant", default=None, help="Answered by this variant.")
@click.option("--stage", default=None, help="For which this is to blame, such as queue, load or generate.")
@click.option(
    "--kept",
    type=click.Choice(["slow", "failed", "escalated", "sampled"]),
    default=None,
    help="Kept for this reason.",
)
@click.option("--error", "error_type", default=None, help="That ended in this error type.")
@click.option("--min-s", type=click.FloatRange(min=0), default=None, help="That took at least so many seconds.")
@click.option("--last-s", type=click.FloatRange(min=0), default=None, help="Of the last so many seconds.")
@click.option("--until", type=click.DateTime(), default=None, help="Before this moment of UTC, instead of now.")
@click.option(
    "--order",
    type=click.Choice(["slowest", "newest"]),
    default="slowest",
    show_default=True,
    help="Which come first.",
)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Show so many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def slow(
    context: CliContext,
    /,
    *,
    last_s: float | None,
    until: datetime | None,
    as_json: bool,
    **conditions: Any,  # noqa: ANN401 - those of a TraceFilter
) -> None:
    """List kept requests, each with what is to blame for the time it took."""
    from gateway.traces.query import TraceFilter, find

    until_s = None if until is None else until.replace(tzinfo=UTC).timestamp()
    ends_s = SYSTEM_CLOCK.wall_s() if until_s is None else until_s
    since_s = None if last_s is None else ends_s - last_s
    with _database(context) as engine:
        page = find(engine, TraceFilter(since_s=since_s, until_s=until_s, **conditions))
    if as_json:
        print_json({"traces": page.rows})
        return
    from gateway.cli.traces_views import print_list

    print_list(page.rows)


@traces.command()
@click.argument("name", metavar="ID")
@click.option("--all", "every_span", is_flag=True, help="Show spans that took next to nothing too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(context: CliContext, name: str, *, every_span: bool, as_json: bool) -> None:
    """Show one request as a waterfall. ID is that of the request, the decision, the trace or its first span."""
    from gateway.decisions.read import find as record_of
    from gateway.traces.query import get

    with _database(context) as engine:
        trace = get(engine, name)
        record = None if trace is None or trace.decision_id is None else record_of(engine, trace.decision_id)
    if trace is None:
        raise click.ClickException(f"no trace of `{name}` is kept; `trilemma traces slow` lists those that are")
    if as_json:
        print_json({"trace": trace, "record": record})
        return
    from gateway.cli.traces_views import print_trace

    print_trace(trace, record, every_span=every_span)


@contextmanager
def _database(context: CliContext) -> Iterator[Engine]:
    from sqlalchemy.exc import SQLAlchemyError

    from gateway.decisions.migrate import upgrade
    from gateway.decisions.schema import open_engine

    engine = open_engine(context.paths.database_url(context.settings()))
    try:
        with failures(SQLAlchemyError):
            upgrade(engine)
            yield engine
    finally:
        engine.dispose()
