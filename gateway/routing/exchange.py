"""One request on its way: its decision, its attempts, its figures, and its one ending.

Ownership: the route handler creates the exchange and must see to it that `end` is called on every path; the stream
relay takes that duty over once its response has begun. `end` acts once; later calls change nothing, so a `finally`
may always call it.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal

import msgspec

from backends.protocol import Usage
from gateway.clock import Clock
from gateway.decisions.fault import is_ours
from gateway.decisions.log import DecisionLog
from gateway.decisions.types import Ending, OutcomeRow
from gateway.learning.confidence import Confidence
from gateway.learning.transcript import Transcript
from gateway.routing.attempts import Attempt, Call
from gateway.routing.recording import undecided_row
from gateway.routing.request import Route, ValidRequest
from gateway.telemetry.stages import Stage
from gateway.telemetry.timeline import Span, Timeline
from gateway.tenants.types import ANYONE, Tenant
from policies.features.types import Features
from policies.objective import Limits
from policies.policy import Policy
from policies.types import Decision

__all__ = ("Attempt", "CacheOutcome", "Exchange", "Make", "new_id")

CacheOutcome = Literal["exact", "semantic", "miss", "bypass"]

Make = Callable[[], AsyncGenerator[dict[str, Any], None]]
"""Has a variant answer: the one event of a whole answer, or the events of a stream from the first with content on."""

logger = logging.getLogger(__name__)


def new_id(prefix: str, *, wall_s: float) -> str:
    """A unique id that sorts by time: prefix, milliseconds since the epoch, 80 random bits."""
    return f"{prefix}_{round(wall_s * 1000):012x}{os.urandom(10).hex()}"


class Exchange:
    """The mutable record of one request; everything in it ends up in the decision log."""

    def __init__(
        self,
        request: ValidRequest,
        *,
        clock: Clock,
        log: DecisionLog,
        request_id: str,
        tenant: Tenant = ANYONE.tenant,
        timeline: Timeline | None = None,
    ) -> None:
        self.request = request
        self.tenant = tenant
        """Who is answered, and charged."""
        self.clock = clock
        self.timeline = timeline or Timeline(clock=clock)
        """Every span of the request, from its arrival on."""
        self.started_s = clock.monotonic_s()
        wall_s = clock.wall_s()
        self.decision_id = new_id("dec", wall_s=wall_s)
        self.request_id = request_id
        self.created_s = int(wall_s)
        self.features: Features | None = None
        """Of the prompt, extracted once."""
        self.limits = Limits()
        """The request's, as the policy's rule tightens them."""
        self.decision: Decision | None = None
        self.policy: Policy | None = None
        """The policy of the first decision, which all later ones of this request keep to."""
        self.estimators: Mapping[str, str] = {}
        """Content hash by kind of what was learned, as it was in force at the first decision."""
        self._call = Call()
        self._followers: list[Callable[[str], None]] = []
        self.calling: Counter[str] = Counter()
        """Attempts under way, by variant."""
        self.tries = 0
        """Attempts begun."""
        self.attempts: list[Attempt] = []
        """Attempts that have ended."""
        self.total_tokens = 0
        """Prompt and generated tokens of all attempts that have ended, as the variants counted them."""
        self.stages: dict[str, float] = {}
        """Seconds by stage, in the order they began."""
        self.transcript: Transcript | None = None
        """What the caller is sent, where the answer is going to be judged."""
        self.unchecked: tuple[str, ...] = ()
        """Why the answer is not held against its checks, or not as a whole."""
        self.ttft_s: float | None = None
        self.cost_usd = 0.0
        self.cache: CacheOutcome = "bypass"
        self.quality: float | None = None
        """Predicted quality of the answer that is given; None before there is one."""
        self.headers: dict[str, str] = {}
        """Headers of the answer, or of the error, besides those that tell of the decision."""
        self.outcome: OutcomeRow | None = None
        """What became of it; None until it has ended."""
        self._finishers: list[Callable[[OutcomeRow], None]] = []
        self._log = log

    @property
    def call(self) -> Call:
        """The attempt that is under way, or that answered; of two that race, the first until the other has won."""
        return self._call

    @call.setter
    def call(self, call: Call) -> None:
        self._call = call
        if call.variant is not None:
            for follower in self._followers:
                follower(call.variant)

    @property
    def variant(self) -> str | None:
        """The variant being tried, or that answered."""
        return self.call.variant

    @property
    def usage(self) -> Usage:
        """Tokens of the answer so far."""
        return self.call.usage

    @property
    def confidence(self) -> Confidence:
        """How sure the variant is of the answer so far."""
        return self.call.confidence

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ended; None before it has."""
        return self.call.finish_reason

    @property
    def policy_hash(self) -> str:
        """Names the policy that decided; empty before a decision."""
        return "" if self.policy is None else self.policy.hash

    @property
    def elapsed_s(self) -> float:
        """Seconds since the request was taken up."""
        return self.clock.monotonic_s() - self.started_s

    def stage(self, name: Stage, *, within: Span | None = None) -> AbstractContextManager[Span]:
        """Add the time spent in the block to a stage, and a span for it, by default directly below the request's."""
        return self.timeline.stage(name, within=within, tally=self.stages)

    def first_token(self) -> None:
        """Note that the first token has arrived; only the first call counts."""
        if self.ttft_s is None:
            self.ttft_s = self.elapsed_s

    def on_call(self, follower: Callable[[str], None]) -> None:
        """Have somebody told of each variant that the request is sent to from now on."""
        self._followers.append(follower)

    def on_end(self, finisher: Callable[[OutcomeRow], None]) -> None:
        """Have something given back or settled when the request ends, however it ends; what came last goes first.

        A finisher returns at once, for nothing may be awaited in a request that is being cancelled.
        """
        self._finishers.append(finisher)

    def end(self, ending: Ending, *, error_type: str | None = None) -> None:
        """Write the outcome, and have everything finished; acts only once.

        A request that was refused before anything was decided leaves rows only where that is on us.
        """
        if self.outcome is not None:
            return
        outcome = self.outcome = self._outcome(ending, error_type)
        self._record(outcome)
        while self._finishers:
            try:
                self._finishers.pop()(outcome)
            except Exception:
                logger.exception("request %s is not finished in order", self.request_id)

    def _record(self, outcome: OutcomeRow) -> None:
        """Log what became of the request; what was not decided gets its row now, if it tells of us."""
        if self.decision is None:
            answered = outcome.ending is Ending.DONE and self.cache in {"exact", "semantic"}
            refused = is_ours(outcome.ending, outcome.error_type, decided=False)
            if self.request.route is Route.EMBEDDINGS or not (answered or refused):
                return
            self._log.record(undecided_row(self))
        self._log.record(outcome)

    def _outcome(self, ending: Ending, error_type: str | None) -> OutcomeRow:
        latency_s = self.elapsed_s
        tokens = self.usage.completion_tokens
        decoding_s = None if self.ttft_s is None or tokens < 2 else latency_s - self.ttft_s
        return OutcomeRow(
            decision_id=self.decision_id,
            ended_at_s=self.clock.wall_s(),
            ending=ending,
            variant=self.variant,
            attempts=[msgspec.to_builtins(attempt) for attempt in self.attempts],
            cache=self.cache,
            queue_s=self.stages.get("queue", 0.0),
            ttft_s=self.ttft_s,
            tpot_s=None if decoding_s is None else decoding_s / (tokens - 1),
            latency_s=latency_s,
            prompt_tokens=self.usage.prompt_tokens,
            completion_tokens=tokens,
            cost_usd=self.cost_usd,
            finish_reason=self.finish_reason,
            error_type=error_type,
            stages=dict(self.stages),
            streamed=self.request.stream,
            confidence=self.confidence.value,
            quality=self._quality(),
        )

    def _quality(self) -> float | None:
        """Predicted quality of the answer that was given."""
        estimate = self.call.estimate
        return self.quality if estimate is None else estimate.quality
