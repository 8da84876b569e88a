"""Which traces are kept: all that tell of trouble, and a share of the others."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable

import numpy as np
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from gateway.decisions.types import Ending
from gateway.routing.exchange import Exchange
from gateway.telemetry.origin import Origin
from gateway.telemetry.seen import Seen
from gateway.telemetry.settings import TraceSettings
from gateway.traces.types import Kept

__all__ = ("Sampler", "Usual", "head_sampled")

FURTHER = frozenset({"fallback", "retry", "hedge", "escalation"})
"""Roles of attempts that a request needs only when something did not go as planned."""

MIN_SEEN = 20
"""Latencies to have seen before one of them is called unusual."""

WINDOW, EVERY = 1000, 50
"""Latencies that count, the latest; and how many come before the percentile is taken anew."""

CACHED, ANY = "(cached)", "(any)"
"""Kinds of answers besides those of each variant."""


def head_sampled(origin: Origin, *, share: float) -> bool:
    """Whether a trace is kept whatever becomes of it.

    Its caller has decided, or its id does, as OpenTelemetry's `TraceIdRatioBased` has it: several services keep the
    same ones.
    """
    if origin.sampled is not None:
        return origin.sampled
    return origin.trace_id & (2**64 - 1) < TraceIdRatioBased.get_bound_for_rate(share)


class _Rolling:
    """The 95th percentile of the latest latencies, not that of the very latest."""

    __slots__ = ("_seen", "_since", "limit_s")

    def __init__(self) -> None:
        self._seen: deque[float] = deque(maxlen=WINDOW)
        self._since = 0
        self.limit_s: float | None = None
        """None before enough were seen."""

    def take(self, latency_s: float) -> None:
        self._seen.append(latency_s)
        self._since += 1
        if self._since >= EVERY or len(self._seen) == MIN_SEEN:
            self.limit_s, self._since = float(np.quantile(self._seen, 0.95)), 0


class Usual:
    """The rolling 95th percentile of latencies, by variant and by whether the answer was streamed.

    A variant of which little was seen is held against all of them: the first answer of one that starts slowly is
    slow. Cached answers are held against each other only, for they would make every other one look slow.
    """

    def __init__(self) -> None:
        self._kinds: defaultdict[tuple[str, bool], _Rolling] = defaultdict(_Rolling)

    def exceeded(self, variant: str | None, latency_s: float, *, streamed: bool) -> bool:
        """Take in the latency of an answer, and say whether it is above the 95th percentile of those before it.

        Args:
            variant: That gave it; None for an answer from a cache.
            latency_s: What it took.
            streamed: Whether it came as a stream.
        """
        kind = self._kinds[variant or CACHED, streamed]
        limit_s = kind.limit_s
        kind.take(latency_s)
        if variant is not None:
            together = self._kinds[ANY, streamed]
            limit_s = together.limit_s if limit_s is None else limit_s
            together.take(latency_s)
        return limit_s is not None and latency_s > limit_s


class Sampler:
    """Decides about traces of requests that have ended; so many a second at most, for each reason to keep one."""

    def __init__(self, settings: TraceSettings, *, monotonic_s: Callable[[], float]) -> None:
        self._settings = settings
        self._monotonic_s = monotonic_s
        self._usual = Usual()
        self._allowed: dict[Kept, tuple[float, float]] = {}
        self.left_out = 0
        """Traces that were to be kept and were too many."""

    def why(self, seen: Seen) -> Kept | None:
        """Why the trace is kept; None where it is not."""
        reason = self._reason(seen)
        if reason is None or self._within_rate(reason):
            return reason
        self.left_out += 1
        return None

    def _reason(self, seen: Seen) -> Kept | None:
        exchange, outcome = seen.exchange, seen.outcome
        slow = exchange is not None and self._slow(exchange)
        if seen.status >= 500 or (outcome is not None and outcome.ending in {Ending.FAILED, Ending.STOPPED}):
            return "failed"
        if exchange is not None and any(attempt.role in FURTHER for attempt in exchange.attempts):
            return "escalated"
        if slow:
            return "slow"
        return "sampled" if seen.timeline.sampled else None

    def _slow(self, exchange: Exchange) -> bool:
        """Over what it, or its tenant, was to be given, or over what is usual here."""
        outcome, limits, sla = exchange.outcome, exchange.limits, exchange.tenant.sla
        if outcome is None or outcome.ending is Ending.STOPPED:
            return False
        generated = exchange.cache not in {"exact", "semantic"}
        unusual = outcome.ending is Ending.DONE and self._usual.exceeded(
            outcome.variant if generated else None, outcome.latency_s, streamed=outcome.streamed
        )
        first_s = outcome.ttft_s if outcome.streamed else None
        return (
            unusual
            or _over(outcome.latency_s, limits.latency_s, sla.latency_p95_s)
            or _over(first_s, limits.ttft_s, sla.ttft_p95_s)
        )

    def _within_rate(self, reason: Kept) -> bool:
        """A token bucket of one second's worth."""
        most, now_s = self._settings.max_per_s, self._monotonic_s()
        left, then_s = self._allowed.get(reason, (most, now_s))
        left = min(max(most, 1.0), left + (now_s - then_s) * most)
        self._allowed[reason] = max(0.0, left - 1.0) if left >= 1.0 else left, now_s
        return left >= 1.0


def _over(seconds: float | None, *limits_s: float | None) -> bool:
    return seconds is not None and any(limit_s is not None and seconds > limit_s for limit_s in limits_s)
