"""What the database counts is what the rows say, on SQLite and on PostgreSQL."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from sqlalchemy.engine import Connection

from gateway.decisions.fault import is_ours
from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from gateway.decisions.types import DecisionRow, Ending, ObservationRow, ObservationSource, OutcomeRow, Row
from gateway.decisions.write import insert
from gateway.sla.tallies import gathered, tallies
from policies.promises.attainment import Tally
from policies.promises.types import Sla
from policies.signals import label, with_latest
from tests.decision_rows import decision, observation, outcome

SLA = Sla(window_s=10.0, ttft_p95_s=0.5, latency_p95_s=2.0, max_cost_usd=5e-5)
LOST_BEFORE_S = 1e9
"""After every row: whatever has no outcome was lost."""


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    engine = open_engine(url)
    upgrade(engine)
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def read(connection: Connection, *, count: int = 3, lost_before_s: float = LOST_BEFORE_S) -> list[Tally]:
    with gathered(connection, tenant="law", since_s=100.0, until_s=1e9, lost_before_s=lost_before_s):
        return tallies(connection, sla=SLA, since_s=100.0, width_s=10.0, count=count)


def rows(*, seed: int, number: int = 400) -> list[Row]:
    """Requests of three windows and of others, ended in every way, some judged by several."""
    rng = np.random.default_rng(seed)
    made: list[Row] = []
    for place in range(number):
        name, at_s = f"dec_{place}", float(rng.uniform(90.0, 140.0))
        tenant = str(rng.choice(["law", "law", "law", "zoo"]))
        route = str(rng.choice(["chat", "completions", "embeddings"], p=[0.6, 0.3, 0.1]))
        made.append(decision(name, tenant=tenant, created_at_s=at_s, route=route))
        if rng.random() < 0.05:
            continue
        ending = Ending(rng.choice(["done", "done", "done", "failed", "stopped", "cancelled"]))
        errors = [None, "overloaded", "timeout", "invalid_request_error", "insufficient_quota", "rate_limit_exceeded"]
        made.append(
            outcome(
                name,
                ending=ending,
                error_type=rng.choice(errors) if ending is Ending.FAILED else None,
                streamed=bool(rng.random() < 0.7),
                ttft_s=None if rng.random() < 0.1 else float(rng.exponential(0.3)),
                latency_s=float(rng.exponential(1.0)),
                quality=None if rng.random() < 0.2 else float(rng.random()),
                cost_usd=float(rng.exponential(2e-5)),
            )
        )
        for which in range(int(rng.integers(0, 4)) if rng.random() < 0.4 else 0):
            source = ObservationSource(rng.choice(list(ObservationSource)))
            weight = float(rng.choice([0.0, 0.25, 1.0]))
            score = float(rng.random())
            about = str(rng.choice(["one", "other"]))
            made.append(observation(name, number=which, source=source, name=about, weight=weight, score=score))
    return made


def expected(rows: Sequence[Row], window: int) -> Tally:
    """One window, counted row by row."""
    ended = {row.decision_id: row for row in rows if isinstance(row, OutcomeRow)}
    judged: dict[str, list[ObservationRow]] = {}
    for row in rows:
        if isinstance(row, ObservationRow):
            judged[row.decision_id] = with_latest(judged.get(row.decision_id, []), row)
    start_s = 100.0 + 10.0 * window
    here = [
        row
        for row in rows
        if isinstance(row, DecisionRow)
        and row.tenant == "law"
        and row.route != "embeddings"
        and start_s <= row.created_at_s < start_s + 10.0
    ]
    done = [o for row in here if (o := ended.get(row.decision_id)) and o.ending is Ending.DONE]
    failed = [
        row
        for row in here
        if (o := ended.get(row.decision_id)) is None or is_ours(o.ending, o.error_type, decided=True)
    ]
    first = sorted(o.ttft_s for o in done if o.streamed and o.ttft_s is not None)
    took = sorted(o.latency_s for o in done)
    known = {o.decision_id: label(judged.get(o.decision_id, [])) for o in done}
    rated = [q for o in done if (q := (k[0] if (k := known[o.decision_id]) else o.quality)) is not None]
    costs = [o.cost_usd for row in here if (o := ended.get(row.decision_id)) and (o in done or row in failed)]
    return Tally(
        start_s=start_s,
        requests=len(done) + len(failed),
        failed=len(failed),
        streamed=len(first),
        late_first=sum(value > 0.5 for value in first),
        ttft_p95_s=first[math.ceil(len(first) * 95 / 100) - 1],
        late=sum(value > 2.0 for value in took),
        latency_p95_s=took[math.ceil(len(took) * 95 / 100) - 1],
        rated=len(rated),
        judged=sum(k is not None for k in known.values()),
        quality=sum(rated) / len(rated),
        dear=sum(usd > 5e-5 for usd in costs),
        dearest_usd=max(costs),
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_database_counts_what_the_rows_say(connection: Connection, seed: int) -> None:
    made = rows(seed=seed)
    insert(connection.engine, made)
    for window, tally in enumerate(read(connection)):
        want = expected(made, window)
        assert tally.quality == pytest.approx(want.quality)
        assert vars_of(tally) == vars_of(want)


def vars_of(tally: Tally) -> dict[str, object]:
    """Everything but the mean, whose last digit depends on the order of summing."""
    return {name: getattr(tally, name) for name in tally.__struct_fields__ if name != "quality"}


def test_a_window_without_requests_is_there_and_quiet(connection: Connection) -> None:
    assert read(connection) == [Tally(start_s=start_s) for start_s in (100.0, 110.0, 120.0)]


def test_a_request_on_its_way_counts_only_once_it_must_be_lost(connection: Connection) -> None:
    insert(connection.engine, [decision(tenant="law", created_at_s=105.0)])
    assert read(connection, lost_before_s=105.0)[0].requests == 0
    assert read(connection, lost_before_s=105.5)[0].failed == 1


def test_a_window_includes_its_beginning_and_not_its_end(connection: Connection) -> None:
    made: list[Row] = []
    for name, at_s in (("a", 100.0), ("b", 109.999999), ("c", 110.0), ("d", 130.0)):
        made += [decision(name, tenant="law", created_at_s=at_s), outcome(name)]
    insert(connection.engine, made)
    assert [tally.requests for tally in read(connection)] == [2, 1, 0]
