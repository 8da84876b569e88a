"""The log of one tenant, counted by windows. The database does the counting: memory here is one row a window.

What the requests say is gathered once, into a table of the connection's own, and counted from there as often as need
be: finding each request's outcome is what takes the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.decisions.fault import CALLERS_OWN
from gateway.decisions.schema import decisions, observations, outcomes
from gateway.decisions.types import Ending
from gateway.routing.request import Route
from policies.promises.attainment import Tally
from policies.promises.types import Sla

__all__ = ("gathered", "tallies")

_gathered = sa.Table(
    "sla_requests",
    sa.MetaData(),
    sa.Column("created_at_s", sa.Double, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("ttft_s", sa.Double),
    sa.Column("latency_s", sa.Double),
    sa.Column("score", sa.Double),
    sa.Column("quality", sa.Double),
    sa.Column("cost_usd", sa.Double),
    prefixes=["TEMPORARY"],
)
"""Every request that counts, and what it says of the promises."""


@contextmanager
def gathered(
    connection: Connection, *, tenant: str, since_s: float, until_s: float, lost_before_s: float
) -> Iterator[None]:
    """Have the tenant's requests at hand for `tallies`, on this connection and while the block runs.

    Args:
        connection: To the log.
        tenant: Whose requests.
        since_s: Unix time of the first one.
        until_s: Unix time before which they are.
        lost_before_s: A request from before this time that has no outcome was lost with the process that had it.
    """
    _gathered.drop(connection, checkfirst=True)
    _gathered.create(connection, checkfirst=False)
    try:
        here = sa.and_(
            decisions.c.tenant == tenant,
            decisions.c.route != Route.EMBEDDINGS,
            decisions.c.created_at_s >= since_s,
            decisions.c.created_at_s < until_s,
        )
        columns = [column.name for column in _gathered.columns]
        connection.execute(_gathered.insert().from_select(columns, _requests(here, lost_before_s=lost_before_s)))
        yield
    finally:
        connection.rollback()  # After a failure PostgreSQL takes nothing else.
        _gathered.drop(connection, checkfirst=True)
        connection.commit()


def tallies(connection: Connection, *, sla: Sla, since_s: float, width_s: float, count: int) -> list[Tally]:
    """One tally per window of what is gathered, oldest first, quiet ones included.

    Args:
        connection: To the log.
        sla: Its limits decide what is late and what is dear.
        since_s: Unix time at which the first window begins.
        width_s: Seconds of a window.
        count: Windows.
    """
    position = (_gathered.c.created_at_s - since_s) / width_s
    inside = sa.and_(_gathered.c.created_at_s >= since_s, _gathered.c.created_at_s < since_s + count * width_s)
    rows = sa.select(_gathered, _whole(connection, position).label("window")).where(inside).subquery()
    found: dict[int, dict[str, Any]] = {number: {"start_s": since_s + number * width_s} for number in range(count)}
    for part in (
        _counts(rows, sla),
        _percentile(rows, rows.c.ttft_s, name="ttft_p95_s"),
        _percentile(rows, rows.c.latency_s, name="latency_p95_s"),
    ):
        for row in connection.execute(part):
            found[int(row.window)] |= {name: value for name, value in row._mapping.items() if name != "window"}
    return [Tally(**figures) for figures in found.values()]


def _requests(here: sa.ColumnElement[bool], *, lost_before_s: float) -> sa.Select[Any]:
    """What each request that counts says, in the order of the columns."""
    answered = outcomes.c.ending == Ending.DONE
    failed = sa.or_(
        sa.and_(outcomes.c.decision_id.is_(None), decisions.c.created_at_s < lost_before_s),
        outcomes.c.ending == Ending.STOPPED,
        sa.and_(
            outcomes.c.ending == Ending.FAILED,
            sa.or_(outcomes.c.error_type.is_(None), outcomes.c.error_type.not_in(sorted(CALLERS_OWN))),
        ),
    )
    labels = _labels(here)
    return (
        sa.select(
            decisions.c.created_at_s,
            sa.case((answered, 0), else_=1),
            sa.case((sa.and_(answered, outcomes.c.streamed), outcomes.c.ttft_s)),
            sa.case((answered, outcomes.c.latency_s)),
            sa.case((answered, labels.c.score)),
            sa.case((answered, outcomes.c.quality)),
            outcomes.c.cost_usd,
        )
        .select_from(decisions)
        .join(outcomes, outcomes.c.decision_id == decisions.c.decision_id, isouter=True)
        .join(labels, labels.c.decision_id == decisions.c.decision_id, isouter=True)
        .where(here, sa.or_(answered, failed))
    )


def _whole(connection: Connection, position: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """The integer part of what is not negative; SQLite may have been built without `floor`, and its casts cut."""
    if connection.dialect.name == "sqlite":
        return sa.cast(position, sa.Integer)
    return sa.cast(sa.func.floor(position), sa.Integer)


def _counts(rows: sa.Subquery, sla: Sla) -> sa.Select[Any]:
    quality = sa.func.coalesce(rows.c.score, rows.c.quality)
    return sa.select(
        rows.c.window,
        sa.func.count().label("requests"),
        sa.func.sum(rows.c.failed).label("failed"),
        sa.func.count(rows.c.ttft_s).label("streamed"),
        _above(rows.c.ttft_s, sla.ttft_p95_s).label("late_first"),
        _above(rows.c.latency_s, sla.latency_p95_s).label("late"),
        sa.func.count(quality).label("rated"),
        sa.func.count(rows.c.score).label("judged"),
        sa.func.avg(quality).label("quality"),
        _above(rows.c.cost_usd, sla.max_cost_usd).label("dear"),
        sa.func.max(rows.c.cost_usd).label("dearest_usd"),
    ).group_by(rows.c.window)


def _above(column: sa.ColumnElement[float], limit: float | None) -> sa.ColumnElement[int]:
    """How many are above a limit."""
    return sa.literal(0) if limit is None else sa.func.count(sa.case((column > limit, 1)))


def _labels(here: sa.ColumnElement[bool]) -> sa.Subquery:
    """The label of every answer that was judged, as `policies.signals.label` makes it."""
    weight = observations.c.weight
    sources = (
        sa.select(
            observations.c.decision_id,
            (sa.func.sum(observations.c.score * weight) / sa.func.sum(weight)).label("score"),
            sa.func.max(weight).label("weight"),
        )
        .join(decisions, decisions.c.decision_id == observations.c.decision_id)
        .where(here, weight > 0)
        .group_by(observations.c.decision_id, observations.c.source)
        .subquery()
    )
    score = sa.func.sum(sources.c.score * sources.c.weight) / sa.func.sum(sources.c.weight)
    return sa.select(sources.c.decision_id, score.label("score")).group_by(sources.c.decision_id).subquery()


def _percentile(rows: sa.Subquery, column: sa.ColumnElement[float], *, name: str) -> sa.Select[Any]:
    """The least value of each window that 95 % of its values do not exceed."""
    ranked = (
        sa.select(
            rows.c.window,
            column.label("value"),
            sa.func.row_number().over(partition_by=rows.c.window, order_by=column).label("rank"),
            sa.func.count().over(partition_by=rows.c.window).label("of"),
        )
        .where(column.is_not(None))
        .subquery()
    )
    least = ranked.c.rank * 100 >= ranked.c.of * 95
    return sa.select(ranked.c.window, sa.func.min(ranked.c.value).label(name)).where(least).group_by(ranked.c.window)
