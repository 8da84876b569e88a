"""A cascade as it runs: its first answer is held back until it is judged, and then passed on or escalated."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from statistics import fmean

from gateway.learning.checker import Checker
from gateway.learning.checks import MAX_CHOICES
from gateway.learning.transcript import Transcript
from gateway.routing.call import Event
from gateway.routing.exchange import Exchange
from gateway.routing.request import ValidRequest
from policies.cascade import Reason, affordable, escalation
from policies.checks import Check
from policies.types import CascadePlan

__all__ = ("Held", "Judge", "allowed", "plan_of")

JUDGE_S = 2.0
"""The caller is waiting: checks that take longer than this together are not waited for."""

PASSED = 0.5
"""Least mean score over the choices with which a check counts as passed."""


def plan_of(exchange: Exchange) -> CascadePlan | None:
    """The cascade that was chosen; None where a variant was chosen by itself."""
    decision = exchange.decision
    if decision is None or decision.cascade is None or decision.choice != decision.cascade.first:
        return None
    return decision.cascade


def allowed(exchange: Exchange, variant: str) -> bool:
    """Whether asking this variant too is predicted to keep the request's limits, after what the first answer took."""
    verdicts = exchange.decision.verdicts if exchange.decision else ()
    then = next((v.estimate for v in verdicts if v.variant == variant), None)
    spent_s, spent_usd = exchange.elapsed_s, exchange.cost_usd
    return then is not None and affordable(then, exchange.limits, spent_s=spent_s, spent_usd=spent_usd)


class Held:
    """A complete answer that was not sent yet, with what the exchange knows of it; the variant's limits bound it."""

    def __init__(self, exchange: Exchange, events: Sequence[Event]) -> None:
        self._exchange = exchange
        self._events = events
        self._call = exchange.call

    @property
    def confidence(self) -> float | None:
        """How sure the variant was of it, in [0, 1]; None where the engine reported none."""
        return self._call.confidence.value

    @property
    def texts(self) -> tuple[str, ...]:
        """One text per choice that has any, of the first `MAX_CHOICES`."""
        transcript = Transcript()
        for event in self._events:
            transcript.add(event)
        return transcript.texts[:MAX_CHOICES]

    def release(self) -> Iterator[Event]:
        """Its events, as the answer that the caller is given."""
        exchange = self._exchange
        exchange.call = self._call
        if exchange.request.stream:
            exchange.first_token()
        yield from self._events


class Judge:
    """Says whether a held answer will do."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker

    async def reason(self, plan: CascadePlan, held: Held, request: ValidRequest) -> Reason | None:
        """Why it will not do; None where it will. A check that cannot be carried out in time counts for nothing."""
        unsure = escalation(plan, confidence=held.confidence, checks_failed=False)
        if unsure is not None or not plan.checks:
            return unsure
        try:
            async with asyncio.timeout(JUDGE_S):
                failed = await self._fails(request.all_checks, held.texts, request.tenant)
        except TimeoutError:
            failed = False
        return escalation(plan, confidence=None, checks_failed=failed)

    async def _fails(self, checks: Sequence[Check], texts: Sequence[str], tenant: str) -> bool:
        for check in checks:
            scores = [await self._checker.score(check, text, tenant=tenant) for text in texts]
            known = [score for score in scores if score is not None]
            if known and fmean(known) < PASSED:
                return True
        return False
