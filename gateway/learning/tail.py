"""Follows the log in the database: what every API process and replica answered or judged, soon after it is written.

Each row carries the time at which it was written, by the database's own clock, so that neither the clocks of replicas
nor the time that a row waited in a writer's buffer matter. Rows still become visible a little out of order, because a
transaction commits after it took its times. Hence rows of the latest `SETTLE_S` seconds are looked at again at each
poll, and those that were delivered are remembered; everything older is settled, and only a place is kept of it.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from gateway.decisions.database_clock import database_now
from gateway.decisions.schema import observations, outcomes
from gateway.learning.dataset import read_samples, samples_of
from policies.samples import Sample

__all__ = ("SETTLE_S", "LogTail", "Place", "Position")

SETTLE_S = 20.0
"""Longest time from a row's `written_at_s` to its commit, in seconds: a transaction of the log takes milliseconds."""

MAX_AHEAD = 200_000
"""Rows remembered of each table. Beyond them a row is delivered once it has settled, up to `SETTLE_S` later."""

PAGE_ROWS = 5000


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A place in one table: all rows up to it are settled and delivered."""

    written_at_s: float = 0.0
    key: str = ""


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """How far the log was followed, as plain values: a tail that starts from it neither misses nor repeats a row."""

    outcomes: Place = Place()
    outcomes_ahead: dict[str, float] = {}
    """Rows beyond the place that were delivered all the same: when each was written, by its key."""
    observations: Place = Place()
    observations_ahead: dict[str, float] = {}


class _Event(NamedTuple):
    """A row that was not delivered yet."""

    written_at_s: float
    key: str
    decision_id: str
    table: int


@dataclass(frozen=True, kw_only=True)
class _Followed:
    """One table that is followed."""

    written_at_s: sa.Column[float]
    key: sa.Column[str]
    decision_id: sa.Column[str]


@dataclass(kw_only=True)
class _Scan:
    """What a look at a table found."""

    events: list[_Event] = field(default_factory=list)
    """Rows that were not delivered, in the order of the table; at most the limit."""
    ended: bool = False
    """Whether every row was looked at."""


_TABLES = (
    _Followed(written_at_s=outcomes.c.written_at_s, key=outcomes.c.decision_id, decision_id=outcomes.c.decision_id),
    _Followed(
        written_at_s=observations.c.written_at_s,
        key=observations.c.observation_id,
        decision_id=observations.c.decision_id,
    ),
)


class LogTail:
    """Reads answered and judged requests that it has not delivered yet. For one thread at a time; methods block.

    A request is delivered once its outcome is there, with the label that it has by then, and again whenever a
    judgement of it is added or replaced. So the consumer replaces what it knows of a decision by its latest sample.
    """

    def __init__(self, engine: Engine, *, variants: Collection[str], position: Position | None = None) -> None:
        """Prepare; nothing is read yet.

        Args:
            engine: The log.
            variants: Those learned about; answers of others are passed over.
            position: Where an earlier tail was; the beginning of the log when absent.
        """
        self._engine = engine
        self._variants = variants
        start = position or Position()
        self._places = [start.outcomes, start.observations]
        self._ahead = [start.outcomes_ahead, start.observations_ahead]
        """Replaced as a whole and never changed: positions share them."""
        self.behind = False
        """Whether the last poll ended at its limit, so that more is there to read."""

    @property
    def position(self) -> Position:
        """How far the log was followed, everything delivered included."""
        return Position(
            outcomes=self._places[0],
            outcomes_ahead=self._ahead[0],
            observations=self._places[1],
            observations_ahead=self._ahead[1],
        )

    def poll(self, limit: int = 1000) -> list[Sample]:
        """The next samples, in the order in which their rows were written.

        Args:
            limit: Rows delivered, and so samples, at most.

        Raises:
            SQLAlchemyError: The database failed; the next poll reads the same rows again.
        """
        with _snapshot(self._engine) as (connection, settled_s):
            scans = [self._scan(connection, table, settled_s=settled_s, limit=limit) for table in range(len(_TABLES))]
            merged = heapq.merge(*(scan.events for scan in scans), key=lambda event: event.written_at_s)
            taken = list(islice(merged, limit))
            ids = list(dict.fromkeys(event.decision_id for event in taken))
            samples = samples_of(connection, ids, variants=self._variants)
        for table, scan in enumerate(scans):
            self._advance(table, scan, [event for event in taken if event.table == table], settled_s=settled_s)
        self.behind = len(taken) == limit
        return [samples[name] for name in ids if name in samples]

    def read_back(self, max_rows: int) -> list[Sample]:
        """The newest samples of the log, oldest first; `poll` continues after them. For a process without a position.

        A request that is written meanwhile may come both here and with the next poll.

        Args:
            max_rows: At most so many.

        Raises:
            SQLAlchemyError: The database failed; the position is as it was.
        """
        with _snapshot(self._engine) as (connection, settled_s):
            place = Place(settled_s)
            recent = [_rows(connection, table, place, page_rows=PAGE_ROWS) for table in range(len(_TABLES))]
            ahead = [{event.key: event.written_at_s for event in events} for events in recent]
        samples = read_samples(self._engine, variants=self._variants, max_rows=max_rows, unjudged_text=True)
        self._places, self._ahead = [place, place], ahead
        return samples

    def _scan(self, connection: Connection, table: int, *, settled_s: float, limit: int) -> _Scan:
        """The next rows of a table that were not delivered yet."""
        ahead, scan = self._ahead[table], _Scan()
        full = len(ahead) >= MAX_AHEAD
        page_rows = min(PAGE_ROWS, limit + len(ahead) + 1)
        for event in _rows(connection, table, self._places[table], page_rows=page_rows):
            if len(scan.events) == limit or (full and event.written_at_s > settled_s):
                return scan
            if ahead.get(event.key) != event.written_at_s:
                scan.events.append(event)
        scan.ended = True
        return scan

    def _advance(self, table: int, scan: _Scan, taken: Sequence[_Event], *, settled_s: float) -> None:
        """Remember what was delivered, and move the place over all that is settled and delivered."""
        place = self._places[table]
        reached = place
        if scan.ended and len(taken) == len(scan.events):
            reached = Place(settled_s)
        elif taken:
            last = taken[-1]
            reached = Place(last.written_at_s, last.key) if last.written_at_s < settled_s else Place(settled_s)
        if reached.written_at_s < place.written_at_s:
            reached = place  # The database's clock was set back.
        ahead = self._ahead[table] | {event.key: event.written_at_s for event in taken}
        self._places[table] = reached
        self._ahead[table] = {key: at_s for key, at_s in ahead.items() if at_s >= reached.written_at_s}


@contextmanager
def _snapshot(engine: Engine) -> Iterator[tuple[Connection, float]]:
    """A transaction that sees one state of the log, and the time up to which that state is settled."""
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        else:
            connection.execution_options(isolation_level="REPEATABLE READ")
        now_s = connection.execute(sa.select(database_now())).scalar_one()
        yield connection, float(now_s) - SETTLE_S


def _rows(connection: Connection, table: int, place: Place, *, page_rows: int) -> Iterator[_Event]:
    """All rows of a table after a place, page by page, read from an index."""
    followed = _TABLES[table]
    order = (followed.written_at_s, followed.key)
    query = sa.select(*order, followed.decision_id).order_by(*order).limit(page_rows)
    after = (place.written_at_s, place.key)
    while page := connection.execute(query.where(sa.tuple_(*order) > sa.tuple_(*map(sa.literal, after)))).all():
        for written_at_s, key, decision_id in page:
            yield _Event(written_at_s, key, decision_id, table)
        if len(page) < page_rows:
            return
        after = (page[-1].written_at_s, page[-1][1])
