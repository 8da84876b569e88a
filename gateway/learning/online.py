"""The learner that decides in this process: fed by its own requests at once, by those of others from the log.

Requests of this process reach it as their rows are recorded, so that a judgement counts for the very next decision.
The same requests come again from the log, with those of every other process and replica; what was counted is not
counted again. Posteriors are solved on a thread. A row that raises is logged and skipped; it is still in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from gateway.decisions.types import DecisionRow, Ending, ObservationRow, OutcomeRow, Row
from policies.estimators.latency import LatencyModel
from policies.features.types import Features
from policies.learner.fit import Fit
from policies.learner.learner import Learner
from policies.learner.posterior import solve
from policies.samples import Sample
from policies.signals import label, subject
from policies.types import CandidateState

__all__ = ("OnlineLearner",)

KEPT = 2000
"""Recent requests of this process that judgements may still come for; earlier ones come from the log."""

BUSY_TENANTS = 32
"""Tenants whose posteriors are renewed at once after a judgement."""

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class _Recent:
    """A request of this process."""

    decision: DecisionRow
    sample: Sample | None = None
    """Once it was answered in a way that teaches something."""
    judgements: dict[tuple[str, str], ObservationRow] = field(default_factory=dict)
    """The latest of each source and subject."""


class OnlineLearner:
    """Holds the learner in force. For the event loop's thread only."""

    def __init__(self, learner: Learner | None = None, *, charge: Callable[[str, float], None]) -> None:
        """Begin.

        Args:
            learner: A restored one; a new one when absent.
            charge: Called with a tenant and the cost of its request, in dollars.
        """
        self._learner = learner or Learner()
        self._charge = charge
        self._recent: OrderedDict[str, _Recent] = OrderedDict()
        self._arrived: list[Sample] | None = None
        """Samples since a successor began to be built; None while none is."""
        self._touched: OrderedDict[str, None] = OrderedDict()
        """Tenants that were learned about since their posteriors were looked at."""
        self._wake, self._settling = asyncio.Event(), asyncio.Lock()
        self.switches = 0
        """Times that another fit was put in force."""

    @property
    def learner(self) -> Learner:
        """The one to decide with now."""
        return self._learner

    def follow(self, row: Row) -> None:
        """Take a row of this process. Never raises."""
        try:
            self._follow(row)
        except Exception:
            logger.exception("decision %s is not learned from", row.decision_id)

    def deliver(self, samples: Iterable[Sample]) -> None:
        """Take requests from the log, of any process. Never raises."""
        for sample in samples:
            try:
                self._absorb(sample)
            except Exception:
                logger.exception("decision %s is not learned from", sample.decision_id)

    def deliver_all(self, samples: Sequence[Sample]) -> None:
        """Take all that the log holds, before anything was decided; choices of earlier runs count as tried."""
        self._learner.absorb_all(samples)
        self._learner.tried.update(sample.variant for sample in samples)
        self._learner.requests += len(samples)
        for sample in samples[-1:]:
            self._touched[sample.tenant] = None

    def restore(self, learner: Learner) -> None:
        """Continue with a learner of an earlier process, before anything was decided."""
        self._learner = learner

    async def adopt(self, fit: Fit, *, samples: Callable[[], Sequence[Sample]] = list) -> None:
        """Put another fit in force: a successor is built on a thread, and takes what has arrived meanwhile.

        Args:
            fit: How requests are seen from now on.
            samples: Reads what is to be counted under the fit; blocks.

        Raises:
            SQLAlchemyError: The samples cannot be read; everything stays as it is.
        """
        handover, self._arrived = self._learner.handover(), []
        tenants = list(self._touched) or [recent.decision.tenant for recent in list(self._recent.values())[-1:]]
        latency = self._learner.latency
        try:
            successor = await asyncio.to_thread(lambda: _built(handover.taken_up, fit, samples(), latency, tenants))
            for sample in self._arrived:
                successor.absorb(sample)
        finally:
            self._arrived = None
        successor.latency = self._learner.latency
        self._learner = successor
        self.switches += 1
        self._wake.set()

    def inherit(self, parents: Mapping[str, str]) -> None:
        """Say which variants on trial start from which others."""
        self._learner.parents = dict(parents)

    def replace_latency(self, latency: LatencyModel) -> None:
        """Predict times in another way from now on: what was corrected about the former one says nothing of it."""
        self._learner.latency = latency
        self._learner.corrections.clear()

    async def settle(self) -> None:
        """Renew every posterior that is due; returns when none is."""
        async with self._settling:
            while self._touched:
                tenant, _ = self._touched.popitem(last=False)
                learner = self._learner
                for job in learner.jobs(tenant):
                    posterior = await asyncio.to_thread(solve, job.problem)
                    learner.take(job, posterior)

    async def keep(self) -> None:
        """Renew posteriors whenever something was learned, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            with contextlib.suppress(Exception):  # A singular problem must not end it; the next record makes another.
                await self.settle()

    def _follow(self, row: Row) -> None:
        if isinstance(row, DecisionRow):
            self._decided(row)
        elif (recent := self._recent.get(row.decision_id)) is None:
            return
        elif isinstance(row, OutcomeRow):
            self._charge(recent.decision.tenant, row.cost_usd)
            recent.sample = _sample(recent.decision, row)
            self._learn(recent)
        else:
            recent.judgements[row.source, subject(row.source, row.name)] = row
            self._learn(recent)

    def _decided(self, row: DecisionRow) -> None:
        if not row.candidates:
            return  # Nothing was decided, and nothing is paid.
        self._recent[row.decision_id] = _Recent(decision=row)
        if len(self._recent) > KEPT:
            self._recent.popitem(last=False)
        if row.choice is not None:
            features = row.features if isinstance(row.features, Features) else None
            self._learner.decided(
                row.tenant,
                features,
                choice=row.choice,
                prompt_tokens=row.prompt_tokens,
                limit_tokens=row.max_completion_tokens,
            )

    def _learn(self, recent: _Recent) -> None:
        if recent.sample is None:
            return
        judged = label(recent.judgements.values())
        quality, weight = (None, 0.0) if judged is None else judged
        self._absorb(msgspec.structs.replace(recent.sample, quality=quality, quality_weight=weight))

    def _absorb(self, sample: Sample) -> None:
        self._learner.absorb(sample)
        if self._arrived is not None:
            self._arrived.append(sample)
        self._touched[sample.tenant] = None
        self._touched.move_to_end(sample.tenant)
        if len(self._touched) > BUSY_TENANTS:
            self._touched.popitem(last=False)
        self._wake.set()


def _built(
    take_up: Callable[..., Learner],
    fit: Fit,
    samples: Sequence[Sample],
    latency: LatencyModel,
    tenants: Sequence[str],
) -> Learner:
    """A learner under a fit, ready to decide."""
    learner = take_up(fit, samples, latency=latency)
    for tenant in tenants:
        learner.settle(tenant)
    learner.settle()
    return learner


def _sample(decision: DecisionRow, outcome: OutcomeRow) -> Sample | None:
    """The request as a sample without a label; None where it teaches nothing."""
    # Which answers a cascade passes on depends on how good they are: they would teach a wrong quality.
    held = any(attempt.get("held") for attempt in outcome.attempts)
    if outcome.ending is not Ending.DONE or outcome.error_type is not None or held or outcome.variant is None:
        return None
    verdict = next((v for v in decision.candidates if v["variant"] == outcome.variant), None)
    if verdict is None or outcome.cache not in ("bypass", "miss"):
        return None
    alone = len(outcome.attempts) == 1
    return Sample(
        decision_id=decision.decision_id,
        created_at_s=decision.created_at_s,
        tenant=decision.tenant,
        variant=outcome.variant,
        propensity=float(outcome.attempts[-1]["propensity"]) if outcome.attempts else 1.0,
        state=CandidateState(verdict["state"]),
        queued=verdict.get("queued", 0),
        running=verdict.get("running", 0),
        starts_in_s=verdict.get("starts_in_s"),
        prompt_tokens=decision.prompt_tokens,
        max_completion_tokens=decision.max_completion_tokens,
        completion_tokens=outcome.completion_tokens,
        cut=outcome.finish_reason == "length",
        ttft_s=outcome.ttft_s if alone else None,
        tpot_s=outcome.tpot_s if alone else None,
        latency_s=outcome.latency_s if alone else None,
        first_token_s=outcome.stages.get("first_token") if alone and outcome.streamed else None,
        answer_s=outcome.stages.get("upstream") if alone and not outcome.streamed else None,
        cost_usd=outcome.cost_usd,
        features=decision.features if isinstance(decision.features, Features) else None,
    )
