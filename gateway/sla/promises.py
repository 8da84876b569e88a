"""What each tenant's promises ask of its next request, as far as this process has seen its answers.

Follows the rows of the log as they are recorded, so that a window's state is that of what was really answered, caches
and fall-backs included. With several processes each keeps the promises for the requests it sees: a mean, and a share,
that every part keeps, the whole keeps too.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.clock import Clock
from gateway.decisions.types import DecisionRow, Ending, ObservationRow, OutcomeRow, Row
from gateway.tenants.types import Tenant
from policies.objective import Limits
from policies.prices import NO_PRICES, Prices
from policies.promises.keeper import Answer, Keeper
from policies.promises.types import Sla
from policies.signals import label, with_latest

__all__ = ("Promises",)

KEPT = 5000
"""Recent requests that a judgement to come may correct; of later ones only the report knows."""

logger = logging.getLogger(__name__)


@dataclass
class _Recent:
    tenant: str
    counted: float | None = None
    """The quality that its answer counts with; None before it was answered."""
    predicted: float = 0.0
    """The quality that it counted with at first."""
    window: int = 0
    judgements: list[ObservationRow] = field(default_factory=list)


class Promises:
    """One keeper per tenant that was promised something. For the event loop's thread only."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._keepers: dict[str, tuple[Sla, Keeper]] = {}
        self._recent: OrderedDict[str, _Recent] = OrderedDict()

    def limits(self, tenant: Tenant) -> Limits:
        """What no request of the tenant may break, and what predictions are held against for its promises' sake."""
        keeper = self._keeper(tenant)
        return tenant.limits if keeper is None else tenant.limits.tightened(keeper.limits)

    def prices(self, tenant: Tenant) -> Prices:
        """Take in a request, and say what quality is worth to the tenant now; once per request."""
        keeper = self._keeper(tenant)
        if keeper is None:
            return NO_PRICES
        keeper.admit(now_s=self._clock.wall_s())
        return keeper.prices

    def follow(self, row: Row) -> None:
        """Take a row of the log. Never raises."""
        try:
            self._follow(row)
        except Exception:
            logger.exception("decision %s does not count for its tenant's promises", row.decision_id)

    def _follow(self, row: Row) -> None:
        if isinstance(row, DecisionRow):
            if row.tenant in self._keepers:
                self._decided(row, self._keepers[row.tenant][1])
            return
        recent = self._recent.get(row.decision_id)
        held = self._keepers.get(recent.tenant) if recent else None
        if recent is None or held is None:
            return
        if isinstance(row, OutcomeRow):
            self._ended(row, recent, held[1])
        else:
            _judged(row, recent, held[1])

    def _decided(self, row: DecisionRow, keeper: Keeper) -> None:
        self._recent[row.decision_id] = _Recent(tenant=row.tenant)
        if len(self._recent) > KEPT:
            self._recent.popitem(last=False)
        # Rows of versions before 0012 have neither worth nor prices.
        able: list[dict[str, Any]] = [v for v in row.candidates if v.get("worth") is not None and v.get("estimate")]
        if able:
            prices = msgspec.convert(row.prices or {}, Prices)
            keeper.foresee([_worth(v, prices) for v in able], [float(v["estimate"]["quality"]) for v in able])

    def _ended(self, row: OutcomeRow, recent: _Recent, keeper: Keeper) -> None:
        if row.ending is not Ending.DONE:
            return
        ttft_s = row.ttft_s if row.streamed else None
        answer = Answer(ttft_s=ttft_s, latency_s=row.latency_s, quality=row.quality)
        keeper.answered(answer, now_s=self._clock.wall_s())
        recent.counted, recent.predicted, recent.window = row.quality, row.quality or 0.0, keeper.window

    def _keeper(self, tenant: Tenant) -> Keeper | None:
        """The tenant's keeper; a new one when its promises have changed."""
        sla = tenant.sla
        if sla.ttft_p95_s is None and sla.latency_p95_s is None and sla.mean_quality is None:
            self._keepers.pop(tenant.id, None)
            return None
        held = self._keepers.get(tenant.id)
        if held is None or held[0] != sla:
            held = self._keepers[tenant.id] = (sla, Keeper(sla, now_s=self._clock.wall_s()))
        return held[1]


def _worth(candidate: Mapping[str, Any], prices: Prices) -> float:
    """What a logged candidate was worth to the tenant, but for the price of the quality that it lacks."""
    of = candidate["estimate"]
    return float(candidate["worth"] - prices.per_usd * of["cost_usd"] - prices.per_s * of["latency_s"])


def _judged(row: ObservationRow, recent: _Recent, keeper: Keeper) -> None:
    """Count an answer with what is now known of it."""
    recent.judgements = with_latest(recent.judgements, row)
    known = label(recent.judgements)
    if known is not None and recent.counted is not None:
        earlier = recent.counted - recent.predicted
        keeper.judged(change=known[0] - recent.counted, window=recent.window, earlier=earlier)
        recent.counted = known[0]
