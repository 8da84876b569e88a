"""One try at one variant: the mutable `Call` while it is under way, the frozen `Attempt` that goes on record."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from backends.protocol import Timings, Usage
from gateway.learning.confidence import Confidence
from gateway.telemetry.timeline import Span
from policies.types import Decision, Estimate, Verdict

__all__ = ("INTERRUPTED", "OVERTAKEN", "Attempt", "Call", "Role")

INTERRUPTED = "interrupted"
"""Error type of an attempt during which the caller left, or we were told to stop."""

OVERTAKEN = "overtaken"
"""Error type of an attempt that was broken off because another of the same request began to answer first."""

Role = Literal["first", "retry", "fallback", "hedge", "escalation"]
"""Why a variant is asked: as first chosen, once more, in place of one that failed, to race one that is slow, or
because a cascade's first answer would not do."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try at one variant, ended."""

    variant: str
    propensity: float
    """Probability with which it, or the cascade that led to it, had been chosen."""
    latency_s: float
    role: Role = "first"
    """Why it was asked."""
    cost_usd: float = 0.0
    confidence: float | None = None
    """exp of the mean token log-probability, in [0, 1]; None where the engine reported none."""
    held: Literal["good_enough", "low_confidence", "check_failed"] | None = None
    """What the answer was judged to be; None where it was passed on as it came, not held back to be judged."""
    error_type: str | None = None
    """None for one that answered; `interrupted` where the request was cut, `overtaken` where another was faster."""


@dataclass(kw_only=True)
class Call:
    """One try under way: who is asked, why, and what has come of it so far."""

    variant: str | None = None
    """None while nobody has been asked."""
    role: Role = "first"
    propensity: float = 0.0
    engine: str | None = None
    """What runs the variant; None before it has been asked."""
    verdict: Verdict | None = None
    """What the decision thought of it; None where nothing was decided."""
    estimate: Estimate | None = None
    """What was predicted of it; None where nothing could be."""
    usage: Usage = field(default_factory=Usage)
    confidence: Confidence = field(default_factory=Confidence)
    finish_reason: str | None = None
    cost_usd: float = 0.0
    until_s: float = math.inf
    """Of the request's time, when it is to be ended: money was set aside for no longer."""
    span: Span | None = None
    """The call on the request's timeline; None before it has begun."""
    timings: Timings | None = None
    """What the worker spent its time on; None where it did not tell."""
    broken_off: str = INTERRUPTED
    """Error type to record should it be cancelled."""

    @classmethod
    def to(cls, variant: str, decision: Decision | None, *, role: Role) -> Call:
        """A call to a variant as a decision, or the cascade it chose, has it."""
        if decision is None:
            return cls(variant=variant, role=role)
        verdict = next((v for v in decision.verdicts if v.variant == variant), None)
        estimate = None if verdict is None else verdict.estimate
        propensity = decision.propensities[decision.choice] if decision.choice else 0.0
        return cls(variant=variant, role=role, propensity=propensity, verdict=verdict, estimate=estimate)
