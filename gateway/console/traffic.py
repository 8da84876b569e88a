"""What has just happened, from the log, so that it is that of all replicas: the last minutes, and the last hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from gateway.decisions.fault import is_ours
from gateway.decisions.schema import decisions, outcomes
from gateway.decisions.types import Ending
from gateway.routing.request import Route

__all__ = ("BUCKETS", "BUCKET_S", "RECENT_S", "Bucket", "Given", "Hour", "Recent", "hour", "recent")

BUCKETS = 30
BUCKET_S = 10.0
RECENT_S = BUCKETS * BUCKET_S
"""Five minutes."""

HOUR_S = 3600.0
MAX_RECENT = 10_000
"""Requests looked at for the last minutes; of more, the latest."""
MAX_HOUR = 50_000
"""Requests looked at for the last hour; of more, the latest."""


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """Ten seconds."""

    answered: int = 0
    failed: int = 0
    """For a reason that is not the caller's."""
    other: int = 0
    """Refused for the caller's own doing, left by the caller, or still at work."""

    @property
    def requests(self) -> int:
        """All that began then."""
        return self.answered + self.failed + self.other


class Recent(msgspec.Struct, frozen=True, kw_only=True):
    """The last five minutes."""

    requests: int
    per_s: float
    answered: int
    failed: int
    fallbacks: int
    """Decided by the fallback order, because estimates were not to be trusted."""
    latency_p50_s: float | None
    latency_p95_s: float | None
    ttft_p50_s: float | None
    """Of streamed answers."""
    ttft_p95_s: float | None
    buckets: tuple[Bucket, ...]
    """Oldest first; the last one is still filling."""

    @property
    def error_share(self) -> float | None:
        """Of the requests that were answered or ought to have been."""
        judged = self.answered + self.failed
        return self.failed / judged if judged else None


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What answers were like on average."""

    answers: int
    latency_s: float
    cost_usd: float
    quality: float | None
    """As predicted when they were chosen."""


class Hour(msgspec.Struct, frozen=True, kw_only=True):
    """The last hour."""

    tenants: Mapping[str, Given]
    """What each was given, by caches too."""
    variants: Mapping[str, Given]
    """What each answered itself."""
    prompt_tokens: float | None
    """Of a request, on average; None without answers."""
    completion_tokens: float | None


def recent(engine: Engine, *, now_s: float) -> Recent:
    """Read the last five minutes.

    Raises:
        SQLAlchemyError: The database cannot be read.
    """
    query = (
        sa.select(
            decisions.c.created_at_s,
            decisions.c.fallback_used,
            decisions.c.choice,
            outcomes.c.ending,
            outcomes.c.error_type,
            outcomes.c.latency_s,
            sa.case((outcomes.c.streamed, outcomes.c.ttft_s)).label("ttft_s"),
        )
        .join(outcomes, outcomes.c.decision_id == decisions.c.decision_id, isouter=True)
        .where(decisions.c.created_at_s >= now_s - RECENT_S)
        .order_by(decisions.c.created_at_s.desc())
        .limit(MAX_RECENT)
    )
    with engine.connect() as connection:
        return _recent(connection.execute(query).all(), now_s=now_s)


def hour(engine: Engine, *, now_s: float) -> Hour:
    """Read the last hour; the database does the counting.

    Raises:
        SQLAlchemyError: The database cannot be read.
    """
    answers = _answers(now_s - HOUR_S)
    with engine.connect() as connection:
        asked = sa.and_(answers.c.variant.is_not(None), answers.c.cache.not_in(["exact", "semantic"]))
        lengths = sa.select(sa.func.avg(answers.c.prompt_tokens), sa.func.avg(answers.c.completion_tokens)).where(
            asked
        )
        prompt_tokens, completion_tokens = connection.execute(lengths).one()
        return Hour(
            tenants=_given(connection, answers, answers.c.tenant, sa.true()),
            variants=_given(connection, answers, answers.c.variant, asked),
            prompt_tokens=None if prompt_tokens is None else float(prompt_tokens),
            completion_tokens=None if completion_tokens is None else float(completion_tokens),
        )


def _recent(rows: Sequence[Any], *, now_s: float) -> Recent:
    counts = np.zeros((BUCKETS, 3), dtype=int)
    first_s = (now_s // BUCKET_S + 1) * BUCKET_S - RECENT_S
    for row in rows:
        place = int((row.created_at_s - first_s) // BUCKET_S)
        if 0 <= place < BUCKETS:
            counts[place, _kind(row)] += 1
    done = [row for row in rows if row.ending == Ending.DONE]
    latency_p50_s, latency_p95_s = _percentiles([row.latency_s for row in done])
    ttft_p50_s, ttft_p95_s = _percentiles([row.ttft_s for row in done if row.ttft_s is not None])
    covered_s = now_s - rows[-1].created_at_s if len(rows) == MAX_RECENT else RECENT_S
    return Recent(
        requests=len(rows),
        per_s=len(rows) / max(covered_s, 1.0),
        answered=len(done),
        failed=sum(_kind(row) == 1 for row in rows),
        fallbacks=sum(bool(row.fallback_used) for row in rows),
        latency_p50_s=latency_p50_s,
        latency_p95_s=latency_p95_s,
        ttft_p50_s=ttft_p50_s,
        ttft_p95_s=ttft_p95_s,
        buckets=tuple(Bucket(answered=int(a), failed=int(f), other=int(o)) for a, f, o in counts),
    )


def _kind(row: sa.Row[Any]) -> int:
    """0 answered, 1 failed, 2 neither."""
    if row.ending is None:
        return 2
    ending = Ending(row.ending)
    if ending is Ending.DONE:
        return 0
    return 1 if is_ours(ending, row.error_type, decided=row.choice is not None) else 2


def _percentiles(values: Sequence[float]) -> tuple[float | None, float | None]:
    if not values:
        return None, None
    half, most = np.percentile(values, (50, 95))
    return float(half), float(most)


def _answers(since_s: float) -> sa.CTE:
    return (
        sa.select(
            decisions.c.tenant,
            outcomes.c.variant,
            outcomes.c.cache,
            outcomes.c.latency_s,
            outcomes.c.cost_usd,
            outcomes.c.quality,
            outcomes.c.prompt_tokens,
            outcomes.c.completion_tokens,
        )
        .join(outcomes, outcomes.c.decision_id == decisions.c.decision_id)
        .where(
            decisions.c.created_at_s >= since_s,
            decisions.c.route != Route.EMBEDDINGS,
            outcomes.c.ending == Ending.DONE,
        )
        .order_by(decisions.c.created_at_s.desc())
        .limit(MAX_HOUR)
        .cte("answers")
    )


def _given(
    connection: Connection, answers: sa.CTE, by: sa.ColumnElement[Any], which: sa.ColumnElement[bool]
) -> dict[str, Given]:
    means = (sa.func.avg(answers.c[name]) for name in ("latency_s", "cost_usd", "quality"))
    query = sa.select(by, sa.func.count(), *means).where(which).group_by(by).order_by(by)
    return {
        name: Given(answers=count, latency_s=float(latency_s), cost_usd=float(cost_usd), quality=quality)
        for name, count, latency_s, cost_usd, quality in connection.execute(query)
    }
