"""What the times of a request are made of, from a variant's profile and its load at this moment.

The card adds these parts up as they are; the fitted estimator learns from the log how much each really counts.
Every part grows with the load and with the prompt, or stays: a sum of them with weights of at least 0 does too.
"""

from __future__ import annotations

from typing import NamedTuple

from policies.estimators.corrections import NO_CORRECTION, TimeFactors
from policies.types import Candidate, CandidateState, Profile

__all__ = ("Parts", "parts")

_LEAST_TTFT_SHARE = 0.1
"""A short prompt is read faster than the measured one, but never in less than this share of its time."""


class Parts(NamedTuple):
    """Seconds, but for `load`."""

    start_s: float
    """Until the variant can answer at all; 0 for a warm one."""
    queue_s: float
    """Behind the requests ahead; 0 while they leave a slot free."""
    prefill_s: float
    """Reading the prompt."""
    tpot_s: float
    """A token, when nothing else runs."""
    crowding_s: float
    """Added to each token by those decoded alongside."""
    load: float
    """Slots taken of all slots, in [0, 1)."""


def parts(candidate: Candidate, *, prompt_tokens: int, corrected: TimeFactors = NO_CORRECTION) -> Parts:
    """The parts of one request's times.

    With r other requests being decoded a token takes `tpot_s + r * tpot_slope_s`. A request waits until enough of
    those ahead of it, running or queued, have been served to leave it a slot, `max_running` at a time. Both are
    deliberate simplifications.

    Args:
        candidate: With its profile and its load.
        prompt_tokens: Of the request.
        corrected: Live corrections of its times. They apply here to the requests ahead only, which are served at the
            same pace; the caller corrects the request's own times.
    """
    profile = candidate.profile
    alongside = min(candidate.running + candidate.queued, candidate.max_running - 1)
    crowding_s = alongside * profile.tpot_slope_s
    before = candidate.running + candidate.queued + 1 - candidate.max_running
    decode_s = profile.completion_tokens * (profile.tpot_s + crowding_s)
    service_s = corrected.ttft * profile.ttft_s + corrected.tpot * decode_s
    return Parts(
        start_s=_start_s(candidate),
        queue_s=max(0, before) / candidate.max_running * service_s,
        prefill_s=_prefill_s(profile, prompt_tokens),
        tpot_s=profile.tpot_s,
        crowding_s=crowding_s,
        load=alongside / candidate.max_running,
    )


def _start_s(candidate: Candidate) -> float:
    if candidate.state is CandidateState.COLD:
        return candidate.profile.cold_start_s
    if candidate.state is CandidateState.LOADING:
        return candidate.profile.cold_start_s if candidate.starts_in_s is None else candidate.starts_in_s
    return 0.0


def _prefill_s(profile: Profile, prompt_tokens: int) -> float:
    further_s = (prompt_tokens - profile.ttft_prompt_tokens) / profile.prefill_tokens_per_s
    return max(profile.ttft_s + further_s, profile.ttft_s * _LEAST_TTFT_SHARE)
