"""The rows of the log. A decision without an outcome was in flight when its process was killed.

Decisions and outcomes are inserted and never changed. A judgement replaces an earlier one of the same decision,
source and subject (`policies.signals.subject`).

Stored text stays readable: JSON columns hold plain values, and readers ignore keys they do not know. No row holds a
prompt or an answer.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

__all__ = ("DecisionRow", "Ending", "ObservationRow", "ObservationSource", "OutcomeRow", "Record", "Row")


class Ending(StrEnum):
    """How a request ended; every request ends exactly once. Doubles as a metric label."""

    DONE = "done"
    """The caller was sent a complete answer."""
    STOPPED = "stopped"
    """We cut it: the gateway was shutting down."""
    FAILED = "failed"
    """The caller was sent an error."""
    CANCELLED = "cancelled"
    """The caller left before the answer was complete."""


class ObservationSource(StrEnum):
    """Who judged an answer."""

    FEEDBACK = "feedback"
    CHECK = "check"
    AGREEMENT = "agreement"
    JUDGE = "judge"


class DecisionRow(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided, written before the request was sent on.

    A request that a cache answered, or that we refused before a decision, leaves one without candidates at its end.
    """

    decision_id: str
    request_id: str
    trace_id: str | None
    tenant: str
    policy_hash: str
    created_at_s: float
    """Unix time."""
    route: str
    hint: str | None
    """Named priority; None where the request gave weights or nothing."""
    weights: dict[str, float]
    limits: dict[str, float | None]
    prompt_tokens: int
    """Estimated before the call."""
    max_completion_tokens: int | None
    needs: list[str]
    candidates: list[dict[str, Any]]
    """The verdicts: state, exclusion, estimate, utility, propensity of every candidate."""
    propensities: dict[str, float]
    choice: str | None
    explored: bool
    violated: str | None
    fallback_used: bool
    pinned: bool
    """Whether the request named the variant."""
    tags: dict[str, str] = {}
    """What the caller attached: `metadata` and `X-Tags`."""
    service_tier: str | None = None
    """Urgency the caller asked for."""
    features_hash: str | None = None
    """Version of the feature layout."""
    features: Any = None
    """As `policies.features` extracted them, or as they are stored; None where there are none."""
    prices: dict[str, float | None] | None = None
    """What the tenant's constraints made of a dollar, a second and lacking quality (`policies.prices`)."""
    valuation: dict[str, float | None] | None = None
    """What the request's own objective made of them (`policies.valuation`); None where it was not linear."""
    forced: bool = False
    """Whether the choice was an early answer that its variant needed: no draw, and no evidence about a policy."""


class OutcomeRow(msgspec.Struct, frozen=True, kw_only=True):
    """What happened, written when the request ended."""

    decision_id: str
    ended_at_s: float
    """Unix time."""
    ending: Ending
    variant: str | None
    """The variant that answered, or was tried last."""
    attempts: list[dict[str, Any]]
    cache: str
    queue_s: float
    ttft_s: float | None
    tpot_s: float | None
    latency_s: float
    prompt_tokens: int
    """As the variant counted."""
    completion_tokens: int
    cost_usd: float
    finish_reason: str | None
    error_type: str | None
    stages: dict[str, float]
    streamed: bool
    confidence: float | None = None
    """exp of the mean token log-probability, in [0, 1]; None where the engine reported none."""
    quality: float | None = None
    """What was predicted of the answer, in [0, 1]; None where there is none, or nothing could be predicted."""


class ObservationRow(msgspec.Struct, frozen=True, kw_only=True):
    """One judgement of an answer's quality; it replaces an earlier one of the same source and subject."""

    observation_id: str
    decision_id: str
    created_at_s: float
    """Unix time."""
    source: ObservationSource
    name: str
    score: float
    """In [0, 1]."""
    weight: float = 1.0
    """How much it counts against others."""
    comment: str | None = None
    cost_usd: float = 0.0
    """What judging cost: the reference's answer, for an agreement. No tenant pays it."""


Row = DecisionRow | OutcomeRow | ObservationRow


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A decision joined with its outcome and observations: one line of an export."""

    decision: DecisionRow
    outcome: OutcomeRow | None
    observations: list[ObservationRow]
