"""The log as what figures of learning are computed from: the newest decisions of a period, in bounded memory.

Columns of JSON are read as text, and of them only what the figures need is decoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from gateway.decisions.schema import decisions, outcomes
from gateway.decisions.types import Ending
from gateway.learning.dataset import labels
from policies.evaluation.routed import Realised, RoutedRequest
from policies.prices import NO_PRICES, Prices
from policies.types import Verdict
from policies.valuation import Valuation

__all__ = ("MAX_ROWS", "RoutedLog", "read_routed")

MAX_ROWS = 20_000
"""Decisions read; of more, the newest."""
PAGE_ROWS = 2000


class RoutedLog(NamedTuple):
    """What was read."""

    requests: list[RoutedRequest]
    """Oldest first."""
    complete: bool
    """Whether these are all of the period, and not the newest ones only."""


class _Attempt(msgspec.Struct, frozen=True):
    variant: str
    held: str | None = None


_attempts = msgspec.json.Decoder(list[_Attempt])
_verdicts = msgspec.json.Decoder(tuple[Verdict, ...])
_valuation = msgspec.json.Decoder(Valuation | None)
_prices = msgspec.json.Decoder(Prices | None)

_COLUMNS = (
    decisions.c.decision_id,
    decisions.c.created_at_s,
    decisions.c.tenant,
    decisions.c.hint,
    decisions.c.choice,
    decisions.c.forced,
    decisions.c.pinned,
    *(sa.cast(decisions.c[name], sa.Text).label(name) for name in ("candidates", "valuation", "prices")),
    outcomes.c.ending,
    outcomes.c.error_type,
    outcomes.c.cache,
    outcomes.c.variant,
    sa.cast(outcomes.c.attempts, sa.Text).label("attempts"),
    outcomes.c.latency_s,
    outcomes.c.cost_usd,
    sa.case((outcomes.c.streamed, outcomes.c.ttft_s)).label("ttft_s"),
)


def read_routed(
    engine: Engine,
    *,
    since_s: float,
    until_s: float,
    tenant: str | None = None,
    hint: str | None = None,
    max_rows: int = MAX_ROWS,
) -> RoutedLog:
    """Read decisions; blocks.

    Args:
        engine: The log.
        since_s: Unix time of the first decision.
        until_s: Unix time before which decisions were made.
        tenant: Of this one only.
        hint: Of requests that named this priority only.
        max_rows: Read the newest so many.

    Raises:
        SQLAlchemyError: The database cannot be read.
    """
    where = [
        decisions.c.created_at_s >= since_s,
        decisions.c.created_at_s < until_s,
        decisions.c.choice.is_not(None),
        *([] if tenant is None else [decisions.c.tenant == tenant]),
        *([] if hint is None else [decisions.c.hint == hint]),
    ]
    found: list[RoutedRequest] = []
    read = 0
    for page, judged in _pages(engine, sa.and_(*where)):
        wanted = page[: max_rows - read]
        read += len(wanted)
        found += [request for row in wanted if (request := _request(row, judged)) is not None]
        if len(wanted) < len(page):
            return RoutedLog(found[::-1], complete=False)
    return RoutedLog(found[::-1], complete=True)


def _pages(
    engine: Engine, where: sa.ColumnElement[bool]
) -> Iterator[tuple[Sequence[sa.Row[Any]], dict[str, tuple[float, float]]]]:
    """Pages from the newest on, each with the labels of its answers. No transaction stays open between them."""
    order = sa.tuple_(decisions.c.created_at_s, decisions.c.decision_id)
    query = (
        sa.select(*_COLUMNS)
        .join_from(decisions, outcomes, outcomes.c.decision_id == decisions.c.decision_id, isouter=True)
        .where(where)
        .order_by(decisions.c.created_at_s.desc(), decisions.c.decision_id.desc())
        .limit(PAGE_ROWS)
    )
    before: sa.ColumnElement[bool] = sa.true()
    while True:
        with engine.connect() as connection:
            page = connection.execute(query.where(before)).all()
            judged = labels(connection, [row.decision_id for row in page])
        if not page:
            return
        yield page, judged
        before = order < sa.tuple_(sa.literal(page[-1].created_at_s), sa.literal(page[-1].decision_id))


def _request(row: sa.Row[Any], judged: dict[str, tuple[float, float]]) -> RoutedRequest | None:
    """One decision; None where it does not hold together, as one of an older version may not."""
    try:
        verdicts = _verdicts.decode(row.candidates)
        valuation = None if row.valuation is None else _valuation.decode(row.valuation)
        prices = None if row.prices is None else _prices.decode(row.prices)
        realised = _realised(row, judged.get(row.decision_id))
    except msgspec.MsgspecError:
        return None
    return RoutedRequest(
        created_at_s=row.created_at_s,
        tenant=row.tenant,
        hint=row.hint,
        choice=row.choice,
        verdicts=verdicts,
        forced=row.forced,
        pinned=row.pinned,
        valuation=valuation,
        prices=prices or NO_PRICES,
        realised=realised,
    )


def _realised(row: sa.Row[Any], label: tuple[float, float] | None) -> Realised | None:
    """What the answer was like; None where the choice did not give it alone."""
    if row.ending != Ending.DONE or row.error_type is not None or row.variant != row.choice:
        return None
    attempts = _attempts.decode(row.attempts)
    if row.cache not in {"bypass", "miss"} or len(attempts) != 1 or attempts[0].held is not None:
        return None
    return Realised(
        cost_usd=row.cost_usd,
        latency_s=row.latency_s,
        ttft_s=row.ttft_s,
        quality=None if label is None else min(1.0, max(0.0, label[0])),
    )
