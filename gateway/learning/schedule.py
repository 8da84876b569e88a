"""When the trainer runs by itself: on the first evidence, when there is much more of it, or when a variant changed.

One process looks at the database every few seconds, which costs two counts over what is new, and starts each training
in a process of its own, so that the memory of a fit is returned. It inherits our niceness.
"""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Callable, Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.clock import SYSTEM_CLOCK, Clock
from gateway.decisions.database_clock import database_now
from gateway.decisions.schema import observations, outcomes
from gateway.decisions.types import Ending
from gateway.learning import trainings
from gateway.learning.tables import training_requests
from gateway.settings import TrainingSettings
from policies.learner.schedule import GROWTH, is_due

__all__ = ("LOOK_EVERY_S", "Evidence", "ask", "due", "evidence", "run_in_process", "watch")

LOOK_EVERY_S = 5.0
"""Seconds between two looks at the log."""

MAX_BACK_OFF_S = 3600.0
"""Longest wait after trainings that failed one after the other."""

logger = logging.getLogger(__name__)


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What the log holds since the last training."""

    judged: int = 0
    """Answers that were judged, or judged anew, since then."""
    answered: int = 0
    """Requests that were answered since then."""
    judged_before: int = 0
    answered_before: int = 0
    """What the last training read; 0 before the first."""
    asked_because: str | None = None
    """Why a process asked for a training since then."""


def evidence(engine: Engine) -> Evidence:
    """What is new since the last training, promoted or not.

    Raises:
        SQLAlchemyError: The database cannot be read.
    """
    last = trainings.last_fit(engine)
    since_s = 0.0 if last is None else last.created_at_s
    with engine.connect() as connection:
        return Evidence(
            judged=_judged(connection, since_s),
            answered=_answered(connection, since_s),
            judged_before=0 if last is None else last.judged_rows,
            answered_before=0 if last is None else last.rows,
            asked_because=_asked(connection, since_s),
        )


def due(found: Evidence, settings: TrainingSettings) -> str | None:
    """Why a training is due, as a clause; None where it is not."""
    if is_due(found.judged_before + found.judged, at_last=found.judged_before, first=settings.min_judged):
        return f"{found.judged} answers were judged since the last training"
    answered = found.answered_before + found.answered
    if answered >= max(settings.min_rows, GROWTH * found.answered_before):
        return f"{found.answered} requests were answered since the last training"
    return found.asked_because


def ask(engine: Engine, *, because: str) -> None:
    """Ask for a training, as for a variant that changed; asking twice for one reason is asking once.

    Raises:
        SQLAlchemyError: The database failed.
    """
    row = {"created_at_s": database_now(), "because": because}
    again = sa.delete(training_requests).where(training_requests.c.because == because)
    with engine.begin() as connection:
        connection.execute(again)
        connection.execute(sa.insert(training_requests).values(**row))


def watch(
    engine: Engine,
    settings: TrainingSettings,
    *,
    train: Callable[[], bool],
    clock: Clock = SYSTEM_CLOCK,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Look for new evidence, and train when it is enough; returns never.

    Args:
        engine: The database.
        settings: What is enough, and the least time between two trainings.
        train: Runs one and says whether it was recorded; one that was not is tried again later and later.
        clock: Tells the time between trainings.
        sleep: Waits for so many seconds.
    """
    next_s, wait_s, trouble = clock.monotonic_s(), settings.interval_s, ""
    while True:
        try:
            because = due(evidence(engine), settings) if clock.monotonic_s() >= next_s else None
            now = ""
        except SQLAlchemyError as error:
            because, now = None, f"{type(error).__name__}: {error}"
        if now != trouble:
            logger.warning("the log cannot be looked at: %s", now or "it can again")
            trouble = now
        if because is not None:
            logger.info("training, because %s", because)
            began_s = clock.monotonic_s()
            wait_s = settings.interval_s if train() else min(MAX_BACK_OFF_S, 2.0 * wait_s)
            next_s = began_s + wait_s
        sleep(LOOK_EVERY_S)


def run_in_process(argv: Sequence[str]) -> bool:
    """Run a training as a program that ends when we do; returns whether it succeeded."""
    # Its standard input stays open for as long as we live: `backends.lifeline`.
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as process:
        return process.wait() == 0


def _judged(connection: Connection, since_s: float) -> int:
    query = (
        sa.select(sa.func.count(observations.c.decision_id.distinct()))
        .join(outcomes, outcomes.c.decision_id == observations.c.decision_id)
        .where(observations.c.written_at_s > since_s, observations.c.weight > 0, *_LEARNABLE)
    )
    return int(connection.scalar(query) or 0)


def _answered(connection: Connection, since_s: float) -> int:
    query = sa.select(sa.func.count()).select_from(outcomes).where(outcomes.c.written_at_s > since_s, *_LEARNABLE)
    return int(connection.scalar(query) or 0)


def _asked(connection: Connection, since_s: float) -> str | None:
    newest = sa.select(training_requests.c.because).where(training_requests.c.created_at_s > since_s)
    because: str | None = connection.scalar(newest.order_by(training_requests.c.number.desc()).limit(1))
    return because


_LEARNABLE = (
    outcomes.c.ending == Ending.DONE,
    outcomes.c.error_type.is_(None),
    outcomes.c.cache.in_(("bypass", "miss")),
)
