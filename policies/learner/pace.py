"""From one answered request to the times that correct predictions: what the variant took against what was predicted.

Only what the variant itself took counts. The prediction is made again, without any correction, for the load that the
variant had then. Answers of a variant that was not warm do not count, nor do those of several attempts, which have no
times; one that was predicted to wait at the variant does not count for the time to first token.
"""

from __future__ import annotations

import numpy as np

from policies.estimators.corrections import TimeCorrections
from policies.estimators.latency import LatencyModel
from policies.estimators.times import parts
from policies.samples import Sample, candidate_then
from policies.types import Candidate, CandidateState

__all__ = ("observe_times",)

MAX_WAIT_SHARE = 0.1
"""Predicted waiting, as a share of the predicted time, above which a time to first token is left out."""

MIN_TOKENS = 4
"""Fewer say nothing of the time per token."""


def observe_times(
    corrections: TimeCorrections, sample: Sample, *, candidate: Candidate, latency: LatencyModel, row: int | None
) -> None:
    """Let the times of an answer count.

    Args:
        corrections: Of all variants.
        sample: The answered request.
        candidate: The variant that answered, as it is now.
        latency: Predicts times.
        row: Where `latency` has the variant; None for its card.
    """
    if sample.state is not CandidateState.WARM or sample.completion_tokens < 1:
        return
    tokens = float(sample.completion_tokens)
    said = latency.predict(
        [parts(candidate_then(sample, candidate), prompt_tokens=sample.prompt_tokens)],
        prompt_tokens=sample.prompt_tokens,
        variants=[row],
        median_tokens=np.array([tokens]),
        high_tokens=np.array([tokens]),
    )
    wait_s, whole_s, tpot_s = float(said.wait_s[0]), float(said.ttft_s[0]), float(said.tpot_s[0])
    ttft_s = whole_s - wait_s
    waits = wait_s > MAX_WAIT_SHARE * whole_s
    seen_ttft_s, seen_tpot_s = _observed(sample, ttft_s=ttft_s, tpot_s=tpot_s)
    corrections.observe(
        sample.variant,
        predicted_ttft_s=ttft_s,
        observed_ttft_s=None if waits else seen_ttft_s,
        predicted_tpot_s=tpot_s,
        observed_tpot_s=None if waits and sample.answer_s is not None else seen_tpot_s,
        now_s=sample.created_at_s,
    )


def _observed(sample: Sample, *, ttft_s: float, tpot_s: float) -> tuple[float | None, float | None]:
    """Times of the variant. Of an answer that came as a whole only both together are known."""
    tokens = sample.completion_tokens
    if sample.answer_s is None:
        return sample.first_token_s, sample.tpot_s if tokens >= MIN_TOKENS else None
    predicted_s = ttft_s + max(0, tokens - 1) * tpot_s
    if predicted_s <= 0.0:
        return None, None
    ratio = sample.answer_s / predicted_s
    return ratio * ttft_s, ratio * tpot_s if tokens >= MIN_TOKENS else None
