"""What is said of answers later: one that proved wrong is dropped, one that fitted another prompt is not enough.

Follows the rows of the log, as judgements are recorded in this process; the work is done in the background.
"""

from __future__ import annotations

from gateway.caching.background import Background
from gateway.caching.origins import Origins
from gateway.caching.store import AnswerStore
from gateway.caching.thresholds import Thresholds
from gateway.decisions.types import ObservationRow, ObservationSource, Row

__all__ = ("WRONG", "Judgements")

WRONG = 0.5
"""An answer of a lower score is not given again."""

_SOURCES = {ObservationSource.FEEDBACK, ObservationSource.CHECK, ObservationSource.JUDGE}
"""Who can tell that an answer is wrong; another variant's disagreement cannot."""


class Judgements:
    """Carries judgements to the answers they are about."""

    def __init__(
        self, *, store: AnswerStore, origins: Origins, thresholds: Thresholds, background: Background
    ) -> None:
        self._store = store
        self._origins = origins
        self._thresholds = thresholds
        self._background = background

    def follow(self, row: Row) -> None:
        """Take a row. Never raises, and returns at once."""
        if isinstance(row, ObservationRow) and row.score < WRONG and row.source in _SOURCES:
            decision_id = row.decision_id
            self._background.post(lambda: self._wrong(decision_id))

    async def _wrong(self, decision_id: str) -> None:
        origin = await self._origins.find(decision_id)
        if origin is None:
            return
        if origin.similarity is None:
            await self._store.drop(origin.key)
        else:
            await self._thresholds.wrong(origin.tenant, similarity=origin.similarity)
