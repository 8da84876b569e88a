"""When the trainer runs by itself: often looked at, only done when enough is new."""

from __future__ import annotations

from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from gateway.learning.dataset import count_since
from gateway.learning.reports import last_report
from gateway.paths import StatePaths
from gateway.settings import Settings

__all__ = ("is_due",)


def is_due(settings: Settings, paths: StatePaths) -> bool:
    """Whether at least `training.min_rows` requests were answered since the last one that was learned from.

    Raises:
        SQLAlchemyError: The database cannot be read.
    """
    before = last_report(paths.reports)
    engine = open_engine(paths.database_url(settings))
    try:
        upgrade(engine)
        fresh = count_since(engine, None if before is None else before.last_at_s)
    finally:
        engine.dispose()
    return fresh >= settings.training.min_rows
