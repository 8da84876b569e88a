"""The cascade of a policy, learned from calibrations: there both of its variants have answered the same requests.

Answers of the cascade itself are of no use here: the second variant was asked only where the first one was unsure.
"""

from __future__ import annotations

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from gateway.decisions.schema import decisions, observations, outcomes
from gateway.decisions.types import Ending, ObservationSource
from policies.escalation import Escalation
from policies.policy import Cascade
from policies.training.cascade import Threshold, learn_threshold

__all__ = ("escalation_of", "learn_cascade")


def learn_cascade(engine: Engine, cascade: Cascade, *, since_s: float | None = None) -> Threshold | None:
    """The threshold for the two variants of a cascade.

    Args:
        engine: The log.
        cascade: Names the variants.
        since_s: Unix time before which nothing is learned from.

    Returns:
        None where too few requests were answered by both, or the first one's confidence tells nothing.
    """
    first, then = (_answers(engine, variant, since_s=since_s) for variant in (cascade.first, cascade.then))
    pairs = [
        (confidence, score, then[name][1])
        for name, (confidence, score) in first.items()
        if confidence is not None and name in then
    ]
    if not pairs:
        return None
    return learn_threshold(*np.array(pairs, np.float64).T)


def escalation_of(cascade: Cascade, learned: Threshold) -> Escalation:
    """What was learned, with the variants it was learned for."""
    return Escalation(
        first=cascade.first,
        then=cascade.then,
        threshold=learned.threshold,
        escalates=learned.escalates,
        recovers=learned.recovers,
    )


def _answers(engine: Engine, variant: str, *, since_s: float | None) -> dict[str, tuple[float | None, float]]:
    """Confidence and score of a variant's newest answer to each task, by the task's request id."""
    query = (
        sa.select(decisions.c.request_id, outcomes.c.confidence, sa.func.avg(observations.c.score))
        .join(outcomes, outcomes.c.decision_id == decisions.c.decision_id)
        .join(observations, observations.c.decision_id == decisions.c.decision_id)
        .where(decisions.c.pinned, decisions.c.tags["calibration"].as_string().is_not(None))
        .where(outcomes.c.variant == variant, outcomes.c.ending == Ending.DONE)
        .where(observations.c.source == ObservationSource.CHECK)
        .group_by(decisions.c.decision_id, decisions.c.request_id, outcomes.c.confidence, decisions.c.created_at_s)
        .order_by(decisions.c.created_at_s)
    )
    if since_s is not None:
        query = query.where(decisions.c.created_at_s >= since_s)
    with engine.connect() as connection:
        return {name: (confidence, float(score)) for name, confidence, score in connection.execute(query)}
