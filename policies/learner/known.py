"""What is assumed of a variant before any record, and what a record says of it."""

from __future__ import annotations

import math

from policies.learner.model import Known
from policies.samples import Sample
from policies.types import Profile

__all__ = ("UNKNOWN", "judgement", "length_known", "quality_known")

STATED_SD, GUESSED_SD, LEAST_SD = 0.2, 0.2, 0.02
"""Standard deviations of a level: for a stated quality, for a guessed one, and the least for a measured card."""

LENGTH_SD = 0.5
"""Of the logarithm of a variant's usual length."""

UNKNOWN = Profile(quality=0.5, ttft_s=0.0, tpot_s=0.0, source="prior")


def quality_known(profile: Profile, parent: str | None) -> Known:
    """The prior of a level: a measured card's own standard error, at least `STATED_SD` for a stated one."""
    sd = {"card": max(LEAST_SD, profile.quality_se), "stated": max(STATED_SD, profile.quality_se)}
    guessed = profile.source == "prior"
    return Known(mean=profile.quality, sd=sd.get(profile.source, GUESSED_SD), parent=parent, guessed=guessed)


def length_known(profile: Profile, parent: str | None) -> Known:
    """The prior of the level of log tokens."""
    mean, guessed = math.log(max(1.0, profile.completion_tokens)), profile.source == "prior"
    return Known(mean=mean, sd=LENGTH_SD, parent=parent, guessed=guessed)


def judgement(sample: Sample) -> tuple[float, float] | None:
    """Quality and weight of an answer that was judged."""
    quality, weight = sample.quality, sample.quality_weight
    if quality is None or not math.isfinite(quality) or not weight > 0.0:
        return None
    return min(1.0, max(0.0, quality)), min(1.0, weight)
