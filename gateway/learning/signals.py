"""What is learned from an answer besides its figures: programmatic checks, and agreement with the reference."""

from __future__ import annotations

import msgspec

from gateway.learning.checks import MAX_CHOICES, AnswerChecks, CheckStats, Judged
from gateway.learning.shadow import Shadow, ShadowStats
from gateway.learning.transcript import Transcript
from gateway.routing.exchange import Exchange
from gateway.routing.request import ValidRequest

__all__ = ("SignalStats", "Signals")


class SignalStats(msgspec.Struct, frozen=True, kw_only=True):
    """How the judging of answers is doing."""

    checks: CheckStats
    shadow: ShadowStats


class Signals:
    """Decides at the beginning of a request whether its answer will be judged, and has it judged at the end."""

    def __init__(self, *, checks: AnswerChecks, shadow: Shadow) -> None:
        self._checks = checks
        self._shadow = shadow

    @property
    def stats(self) -> SignalStats:
        """How the judging is doing."""
        return SignalStats(checks=self._checks.stats, shadow=self._shadow.stats)

    def transcript(self, request: ValidRequest) -> Transcript | None:
        """What to collect the answer in; None, and nothing to collect, for the many that nobody will judge."""
        checked = bool(request.checks) or request.form is not None
        sampled = self._shadow.samples(request)
        return Transcript(sampled=sampled) if checked or sampled else None

    def begun(self, exchange: Exchange) -> None:
        """Note what of an answer will not be checked as far as that is known before its end."""
        request = exchange.request
        if request.all_checks and request.choices > MAX_CHOICES:
            exchange.unchecked = ("choices",)

    def answered(self, exchange: Exchange) -> None:
        """Judge an answer that is complete; returns at once, and notes what of it is not checked."""
        transcript = exchange.transcript
        if transcript is None:
            return
        if transcript.too_long:
            exchange.unchecked = self._checks.too_long(exchange.request)
        if not (texts := transcript.texts):
            return
        answer = Judged(decision_id=exchange.decision_id, request=exchange.request, texts=texts)
        exchange.unchecked = self._checks.add(answer)
        if transcript.sampled:
            self._shadow.add(answer, exchange)

    async def aclose(self) -> None:
        """Come to an end; what is not judged in time never will be."""
        await self._shadow.aclose()
        await self._checks.aclose()
