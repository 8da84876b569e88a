"""An answered request, as everything that learns reads it."""

from __future__ import annotations

import msgspec

from policies.features.types import Features
from policies.types import Candidate, CandidateState

__all__ = ("Sample", "candidate_then")


class Sample(msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False):
    """One answered request, as the log has it."""

    decision_id: str = ""
    """Names the request; empty where nothing is learned from it again."""
    created_at_s: float
    """Unix time of the decision."""
    tenant: str
    variant: str
    propensity: float
    """Probability with which the variant had been chosen; 1 where the request named it."""
    state: CandidateState
    queued: int
    running: int
    starts_in_s: float | None
    """The variant's load when it was decided, itself not counted."""
    prompt_tokens: int
    """As estimated for the decision: what the estimators are given when they serve."""
    max_completion_tokens: int | None
    completion_tokens: int
    cut: bool
    """Whether the answer ended at a limit: it would have been at least this long."""
    ttft_s: float | None
    tpot_s: float | None
    """None where the answer was not streamed, too."""
    latency_s: float | None
    """None, with the other times, where more than one attempt was needed."""
    first_token_s: float | None = None
    """What the variant itself took to the first token of a stream, without waiting in the gateway."""
    answer_s: float | None = None
    """What the variant itself took for an answer that came as a whole."""
    cost_usd: float
    features: Features | None
    quality: float | None = None
    """In [0, 1]; None if the answer was not judged."""
    quality_weight: float = 0.0
    """How much the judgement counts; 0 without one."""


def candidate_then(sample: Sample, now: Candidate) -> Candidate:
    """A variant as it stood when a sample was decided, with the profile and the prices it has now."""
    return msgspec.structs.replace(
        now, state=sample.state, queued=sample.queued, running=sample.running, starts_in_s=sample.starts_in_s
    )
