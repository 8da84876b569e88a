"""The one adapter between `backends` and `policies`: a variant and its live state become a candidate."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from backends.models.manifest import Card
from backends.types import Capability, Engine, Price, Variant, VariantKind, WorkerState
from gateway.routing.catalogue import VariantView
from policies.types import Candidate, CandidateState, Profile

__all__ = ("capabilities", "freeze", "profile")

_BATCH = 8
"""Requests together behind a card's `batch_tokens_per_s`."""

_STATES = {
    WorkerState.WARM: CandidateState.WARM,
    WorkerState.LOADING: CandidateState.LOADING,
    WorkerState.COLD: CandidateState.COLD,
}

_CAPABILITIES: dict[Engine, frozenset[str]] = {
    Engine.OPENVINO: frozenset({Capability.JSON_SCHEMA, Capability.LOGPROBS}),
    Engine.TRANSFORMERS: frozenset(),
    Engine.LLAMACPP: frozenset(),
    Engine.OPENAI: frozenset({Capability.JSON_SCHEMA, Capability.LOGPROBS, Capability.TOOLS}),
}
"""What an engine can do unless the configuration says otherwise."""

_PRIORS = {
    VariantKind.FULL: Profile(quality=0.75, ttft_s=0.5, tpot_s=0.06, cold_start_s=20.0, source="prior"),
    VariantKind.QUANTIZED: Profile(quality=0.7, ttft_s=0.2, tpot_s=0.015, cold_start_s=5.0, source="prior"),
    VariantKind.PRUNED: Profile(quality=0.3, ttft_s=0.2, tpot_s=0.013, cold_start_s=5.0, source="prior"),
    VariantKind.DISTILLED: Profile(quality=0.45, ttft_s=0.2, tpot_s=0.013, cold_start_s=5.0, source="prior"),
    VariantKind.REMOTE: Profile(quality=0.8, ttft_s=0.5, tpot_s=0.02, source="prior"),
}
"""Guesses that hold only until the first card is measured; a decision made on one says so."""


def freeze(views: Iterable[VariantView]) -> tuple[Candidate, ...]:
    """The candidates of one decision, as they stand now; what only embeds is none."""
    return tuple(_candidate(view) for view in views if not view.variant.embeds_only)


def profile(variant: Variant, card: Card | None) -> Profile:
    """What is known of a variant before any traffic: measured, else stated, else guessed."""
    if card is not None:
        return Profile(
            quality=card.quality,
            quality_se=card.quality_se,
            ttft_s=card.ttft_s,
            ttft_prompt_tokens=card.prompt_tokens,
            tpot_s=card.tpot_s,
            tpot_slope_s=max(0.0, _BATCH / max(card.batch_tokens_per_s, 1.0) - card.tpot_s) / (_BATCH - 1),
            prefill_tokens_per_s=max(card.prefill_tokens_per_s, 1.0),
            completion_tokens=max(card.completion_tokens, 1.0),
            cold_start_s=card.cold_start_s,
        )
    stated = {
        name: value for name in ("quality", "ttft_s", "tpot_s") if (value := getattr(variant, name)) is not None
    }
    source = "stated" if len(stated) == 3 else "prior"
    return msgspec.structs.replace(_PRIORS[variant.kind], source=source, **stated)


def _candidate(view: VariantView) -> Candidate:
    variant, load = view.variant, view.status.load
    reported = max(0, load.running - view.guests) if load else 0
    queued = load.queued if load else 0
    # The report may be older than requests sent since: never believe less than the replicas' own counts.
    ours = max(0, view.in_flight + view.others_in_flight - reported - queued)
    running = min(reported + ours, variant.max_running)
    shut = None if view.shut_s is None else _shut(view.shut_s)
    return Candidate(
        name=variant.name,
        state=CandidateState.UNAVAILABLE if shut else _STATES.get(view.status.state, CandidateState.UNAVAILABLE),
        unavailable_because=shut,
        profile=profile(variant, view.card),
        context_tokens=variant.context_tokens,
        capabilities=capabilities(variant),
        queued=queued + (reported + ours - running),
        running=running,
        max_running=variant.max_running,
        starts_in_s=view.status.starts_in_s,
        **_price(variant.price),
    )


def _shut(wait_s: float) -> str:
    return f"circuit open for {wait_s:.1f} s more" if wait_s else "circuit open, another request probes it"


def capabilities(variant: Variant) -> frozenset[str]:
    """What a variant can do beyond plain chat: as configured, else as its engine can."""
    if variant.capabilities is not None:
        return frozenset(variant.capabilities)
    return _CAPABILITIES[variant.engine]


def _price(price: Price) -> dict[str, float]:
    if price.compute_per_hour_usd is not None:
        return {"compute_per_s_usd": price.compute_per_hour_usd / 3600.0}
    return {
        "prompt_per_token_usd": (price.prompt_per_mtok_usd or 0.0) / 1e6,
        "completion_per_token_usd": (price.completion_per_mtok_usd or 0.0) / 1e6,
    }
