"""Answered requests of a world whose lengths and times are known, as samples to learn from."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from policies.estimators.times import parts
from policies.features.extract import extract
from policies.features.types import Features, Prompt
from policies.training.dataset import Sample, candidate_then
from policies.types import Candidate, CandidateState, Profile
from tests.policy_strategies import candidate

__all__ = ("CANDIDATES", "EASY", "HARD", "samples")

_PROFILE = Profile(
    quality=0.6,
    ttft_s=0.2,
    ttft_prompt_tokens=60,
    tpot_s=0.02,
    tpot_slope_s=0.004,
    completion_tokens=60.0,
    cold_start_s=4.0,
)
CANDIDATES: dict[str, Candidate] = {
    "full": candidate("full", profile=_PROFILE, max_running=4),
    "quantized": candidate(
        "quantized", profile=msgspec.structs.replace(_PROFILE, tpot_s=0.005, ttft_s=0.1), max_running=4
    ),
}

EASY = extract(Prompt(text="Answer with one word: is the sky blue?", tags={"kind": "closed"}))
HARD = extract(Prompt(text="Write a long story about the sea and its ships, with many turns.", tags={"kind": "open"}))


def samples(
    count: int,
    *,
    seed: int = 0,
    variants: Sequence[str] = ("full", "quantized"),
    slowness: float = 1.5,
    noise: float = 0.3,
    limit_tokens: int | None = None,
    tenants: Sequence[str] = ("default",),
) -> list[Sample]:
    """Rows, oldest first: hard prompts get answers of about 200 tokens, easy ones of about 20; what is slow is slow
    by one factor against the card, with log-normal noise; hard prompts are answered well by `full` alone.
    """
    rng = np.random.default_rng(seed)
    return [_sample(i, rng, variants, slowness, noise, limit_tokens, tenants) for i in range(count)]


def _sample(
    number: int,
    rng: np.random.Generator,
    variants: Sequence[str],
    slowness: float,
    noise: float,
    limit_tokens: int | None,
    tenants: Sequence[str],
) -> Sample:
    hard = bool(rng.random() < 0.5)
    features: Features = HARD if hard else EASY
    variant = variants[int(rng.integers(len(variants)))]
    whole = int(np.ceil((200.0 if hard else 20.0) * rng.lognormal(0.0, noise)))
    tokens = whole if limit_tokens is None else min(whole, limit_tokens)
    right = 0.9 if variant == "full" or not hard else 0.2
    sample = Sample(
        decision_id=f"dec_{number:06}",
        created_at_s=1_700_000_000.0 + number,
        tenant=tenants[number % len(tenants)],
        variant=variant,
        propensity=1.0 / len(variants),
        state=CandidateState.WARM,
        queued=int(rng.integers(4)),
        running=int(rng.integers(5)),
        starts_in_s=None,
        prompt_tokens=int(rng.integers(20, 400)),
        max_completion_tokens=limit_tokens,
        completion_tokens=tokens,
        cut=tokens < whole,
        ttft_s=None,
        tpot_s=None,
        latency_s=0.0,
        cost_usd=0.0,
        features=features,
        quality=float(rng.random() < right),
        quality_weight=1.0,
    )
    of = parts(candidate_then(sample, CANDIDATES[variant]), prompt_tokens=sample.prompt_tokens)
    ttft_s = slowness * (of.queue_s + of.prefill_s) * rng.lognormal(0.0, noise)
    tpot_s = slowness * (of.tpot_s + of.crowding_s) * rng.lognormal(0.0, noise)
    latency_s = ttft_s + (tokens - 1) * tpot_s
    cost_usd = CANDIDATES[variant].compute_per_s_usd * latency_s
    return msgspec.structs.replace(sample, ttft_s=ttft_s, tpot_s=tpot_s, latency_s=latency_s, cost_usd=cost_usd)
