"""What the log knows of a calibration: which tasks a variant has answered, how well, how fast, for how much."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from statistics import fmean, median

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from gateway.decisions.schema import decisions, observations, outcomes
from gateway.decisions.types import Ending, ObservationSource
from gateway.learning.tasks import TaskItem

__all__ = ("Answered", "Result", "answered", "results")

IDS_PER_QUERY = 500


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """One task as one variant answered it."""

    request_id: str
    variant: str
    score: float | None
    """Mean of the checks, in [0, 1]; None as long as there is no score."""
    ttft_s: float | None
    tpot_s: float | None
    cost_usd: float


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a variant did on a task set."""

    variant: str
    answered: int
    score: float | None
    """Mean over the tasks, in [0, 1]."""
    families: dict[str, float]
    """Mean score by family."""
    ttft_s: float | None
    """Median."""
    tpot_s: float | None
    """Median."""
    cost_usd: float
    """Mean of a request."""


def answered(engine: Engine, request_ids: Collection[str]) -> list[Answered]:
    """All complete answers to these requests, oldest first; a task that was repeated is there several times."""
    ids, found = sorted(request_ids), []
    with engine.connect() as connection:
        for begin in range(0, len(ids), IDS_PER_QUERY):
            query = _QUERY.where(decisions.c.request_id.in_(ids[begin : begin + IDS_PER_QUERY]))
            found += [msgspec.convert(row, Answered, from_attributes=True) for row in connection.execute(query)]
    return found


def results(found: Iterable[Answered], tasks: dict[str, TaskItem]) -> list[Result]:
    """One result per variant that has answered, in the order of their names.

    Args:
        found: What was answered.
        tasks: The tasks by request id.
    """
    by_variant: defaultdict[str, list[Answered]] = defaultdict(list)
    for answer in found:
        by_variant[answer.variant].append(answer)
    return [_result(variant, by_variant[variant], tasks) for variant in sorted(by_variant)]


def _result(variant: str, found: list[Answered], tasks: dict[str, TaskItem]) -> Result:
    families: defaultdict[str, list[float]] = defaultdict(list)
    for answer in found:
        if answer.score is not None:
            families[tasks[answer.request_id].family].append(answer.score)
    scores = [score for family in families.values() for score in family]
    ttfts = [answer.ttft_s for answer in found if answer.ttft_s is not None]
    tpots = [answer.tpot_s for answer in found if answer.tpot_s is not None]
    return Result(
        variant=variant,
        answered=len(found),
        score=fmean(scores) if scores else None,
        families={family: fmean(families[family]) for family in sorted(families)},
        ttft_s=median(ttfts) if ttfts else None,
        tpot_s=median(tpots) if tpots else None,
        cost_usd=fmean(answer.cost_usd for answer in found),
    )


_QUERY = (
    sa.select(
        decisions.c.request_id,
        outcomes.c.variant,
        outcomes.c.ttft_s,
        outcomes.c.tpot_s,
        outcomes.c.cost_usd,
        sa.select(sa.func.avg(observations.c.score))
        .where(observations.c.decision_id == decisions.c.decision_id)
        .where(observations.c.source == ObservationSource.CHECK)
        .scalar_subquery()
        .label("score"),
    )
    .join(outcomes, outcomes.c.decision_id == decisions.c.decision_id)
    .where(outcomes.c.ending == Ending.DONE)
    .order_by(decisions.c.created_at_s)
)
