"""Closes the loop in the process that serves: what a request cost and how good its answer was, back to who decides.

Follows the rows of the log as they are recorded. Outcomes are charged to their tenant's budget, judgements move the
quality estimator at once, requests of variants on trial are counted. The work for a row is bounded, and a row that
makes it stumble is passed over: the log has it, and the next full fit learns from it.
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from gateway.decisions.types import DecisionRow, Ending, ObservationRow, OutcomeRow, Row
from gateway.routing.budgets import Budgets
from policies.estimators.quality import OnlineQuality
from policies.features.types import Features
from policies.signals import subject

__all__ = ("Loop",)

KEPT = 2000
"""Recent requests whose features are kept for judgements to come; of later ones only the log knows."""

REPLAYED = 200
"""Latest judgements that a new fit is shown one by one."""

logger = logging.getLogger(__name__)


class HasQuality(Protocol):
    """Says which quality estimator is in force."""

    @property
    def quality(self) -> OnlineQuality | None:
        """None where nothing was learned yet."""
        ...


@dataclass
class _Recent:
    tenant: str
    features: Features | None
    variant: str | None = None
    judged: set[tuple[str, str, str]] = field(default_factory=set)


class _Judged(NamedTuple):
    key: tuple[str, str, str]
    """Decision, source and subject: a later judgement of the same key replaces it."""
    features: Features
    variant: str
    score: float
    weight: float


class Loop:
    """Follows the log. For the event loop's thread only."""

    def __init__(self, *, estimators: HasQuality, budgets: Budgets) -> None:
        self._estimators = estimators
        self._budgets = budgets
        self._recent: OrderedDict[str, _Recent] = OrderedDict()
        self.tried: Counter[str] = Counter()
        """Requests each variant was chosen for, those of earlier runs included once they were counted."""
        self._judged: deque[_Judged] = deque(maxlen=REPLAYED)
        self._taught: OnlineQuality | None = None
        """The estimator that knows them."""
        self.learned = 0
        """Judgements that moved the estimator."""

    def follow(self, row: Row) -> None:
        """Take a row. Never raises."""
        try:
            self._follow(row)
        except Exception:
            logger.exception("decision %s is not learned from", row.decision_id)

    def _follow(self, row: Row) -> None:
        if isinstance(row, DecisionRow):
            self._remember(row)
        elif (recent := self._recent.get(row.decision_id)) is None:
            return
        elif isinstance(row, OutcomeRow):
            self._budgets.charge(recent.tenant, row.cost_usd)
            # Which answers a cascade passes on depends on how good they are: they would teach a wrong quality.
            held = any(attempt.get("held") for attempt in row.attempts)
            recent.variant = row.variant if row.ending is Ending.DONE and not held else None
        else:
            self._learn(row, recent)

    def _remember(self, row: DecisionRow) -> None:
        if not row.candidates:
            return  # Nothing was decided, and nothing is paid.
        if row.choice is not None:
            self.tried[row.choice] += 1
        features = row.features if isinstance(row.features, Features) else None
        self._recent[row.decision_id] = _Recent(tenant=row.tenant, features=features)
        if len(self._recent) > KEPT:
            self._recent.popitem(last=False)

    def _learn(self, row: ObservationRow, recent: _Recent) -> None:
        if recent.features is None or recent.variant is None:
            return
        key = (row.decision_id, row.source, subject(row.source, row.name))
        judged = _Judged(key, recent.features, recent.variant, row.score, min(1.0, row.weight))
        if key in recent.judged:
            # The estimator in force cannot unlearn the earlier one; the next fit is shown the later one only.
            self._judged = deque((judged if j.key == key else j for j in self._judged), maxlen=REPLAYED)
            return
        recent.judged.add(key)
        quality = self._estimators.quality
        if quality is not None:
            # A new fit averages over a change that the latest judgements already know of.
            for known in (*self._judged, judged) if quality is not self._taught else (judged,):
                quality.update(known.features, known.variant, known.score, weight=known.weight)
            self.learned += 1
        self._taught = quality
        self._judged.append(judged)
