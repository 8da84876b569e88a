"""Removes what is older than the log is to be, together with its outcome and what was said of it.

In small transactions, oldest first: no writer waits long, and several processes may do it at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.decisions.schema import decisions, observations, outcomes

__all__ = ("keep_young", "prune")

EVERY_S = 600.0
BATCH = 500
"""Decisions removed in one transaction."""

logger = logging.getLogger(__name__)


async def keep_young(engine: Engine, *, max_age_s: float | None, wall_s: Callable[[], float]) -> None:
    """Remove what is too old, now and then, until cancelled; nothing ever where no age is set."""
    while max_age_s is not None:
        try:
            removed = await asyncio.to_thread(prune, engine, before_s=wall_s() - max_age_s)
            if removed:
                logger.info("removed %d decisions from the log: they were older than %.0f s", removed, max_age_s)
        except SQLAlchemyError as error:
            logger.warning("old decisions could not be removed, trying again in %.0f s: %s", EVERY_S, error)
        await asyncio.sleep(EVERY_S)


def prune(engine: Engine, *, before_s: float) -> int:
    """Remove decisions that were made before this time; returns how many there were.

    Raises:
        SQLAlchemyError: The database refused; what was removed by then stays so.
    """
    oldest = sa.select(decisions.c.decision_id).where(decisions.c.created_at_s < before_s)
    removed = 0
    while True:
        with engine.begin() as connection:
            query = oldest.order_by(decisions.c.created_at_s).limit(BATCH)
            found = connection.execute(query).scalars().all()
            for table in (observations, outcomes, decisions):
                connection.execute(sa.delete(table).where(table.c.decision_id.in_(found)))
        removed += len(found)
        if len(found) < BATCH:
            return removed
