"""Waiting for the database on a caller's behalf: for so long, and then a refusal that says so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import UnavailableError

__all__ = ("PATIENCE_S", "database_work")

PATIENCE_S = 10.0
"""Seconds after which whoever needs the database is told that it keeps silent."""

logger = logging.getLogger(__name__)


@asynccontextmanager
async def database_work(*, patience_s: float | None = None) -> AsyncIterator[None]:
    """Bound the work within, and turn what the database does to it into what a caller sees.

    What was begun when the time is over may still be done.

    Args:
        patience_s: Seconds for work that reads much; `PATIENCE_S` when None.

    Raises:
        UnavailableError: The database refuses, or keeps silent.
    """
    try:
        async with asyncio.timeout(PATIENCE_S if patience_s is None else patience_s):
            yield
    except (SQLAlchemyError, TimeoutError) as error:
        logger.warning("the database failed a request: %s", str(error) or "it does not answer")
        raise UnavailableError("the database refuses or does not answer; try again", retry_after_s=5.0) from error
