"""Speed, cost and accuracy of the variants, which of them no other beats, and where tenants' traffic lies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from gateway.console.traffic import Given, Hour
from gateway.routing.candidates import profile
from gateway.routing.catalogue import VariantView

__all__ = ("Axis", "Frontier", "Place", "frontier")

Axis = Literal["cost_usd", "latency_s"]

ENOUGH = 20
"""Answers within the hour from which on their mean is told instead of what the card predicts."""

PROMPT_TOKENS, COMPLETION_TOKENS = 200.0, 150.0
"""Of a request, where nobody has sent any yet."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Something that has a speed, a cost and a quality."""

    name: str
    latency_s: float
    cost_usd: float
    """Of a request."""
    quality: float | None
    answers: int
    """Within the last hour."""
    basis: Literal["observed", "card", "stated", "prior"]
    """Where the figures are from."""
    state: str = ""
    """Of a variant."""
    best: bool = False
    """No other variant is both better and cheaper, or both better and faster."""


class Frontier(msgspec.Struct, frozen=True, kw_only=True):
    """What the chart and its table show."""

    axis: Axis
    variants: tuple[Place, ...]
    front: tuple[str, ...]
    """Names of the best ones, along the axis."""
    tenants: tuple[Place, ...]
    prompt_tokens: float
    completion_tokens: float


def frontier(views: Iterable[VariantView], hour: Hour | None, *, axis: Axis) -> Frontier:
    """Place everything.

    Args:
        views: The variants as they stand; those that only embed have no place.
        hour: What was observed; None where the log cannot be read.
        axis: Against which quality is held.
    """
    prompt = (hour and hour.prompt_tokens) or PROMPT_TOKENS
    completion = (hour and hour.completion_tokens) or COMPLETION_TOKENS
    observed = hour.variants if hour else {}
    places = [
        _variant(view, observed.get(view.variant.name), prompt=prompt, completion=completion)
        for view in views
        if not view.variant.embeds_only
    ]
    front = _front(places, axis)
    return Frontier(
        axis=axis,
        variants=tuple(msgspec.structs.replace(place, best=place.name in front) for place in places),
        front=front,
        tenants=tuple(_tenant(name, given) for name, given in (hour.tenants if hour else {}).items()),
        prompt_tokens=prompt,
        completion_tokens=completion,
    )


def _variant(view: VariantView, given: Given | None, *, prompt: float, completion: float) -> Place:
    variant, known = view.variant, profile(view.variant, view.card)
    name, state = variant.name, view.status.state
    if given is not None and given.answers >= ENOUGH:
        quality = known.quality if given.quality is None else given.quality
        return Place(
            name=name,
            state=state,
            latency_s=given.latency_s,
            cost_usd=given.cost_usd,
            quality=quality,
            answers=given.answers,
            basis="observed",
        )
    latency_s = known.ttft_s + known.tpot_s * max(0.0, completion - 1)
    return Place(
        name=name,
        state=state,
        latency_s=latency_s,
        cost_usd=variant.price.cost_usd(prompt_tokens=prompt, completion_tokens=completion, busy_s=latency_s),
        quality=known.quality,
        answers=given.answers if given else 0,
        basis="card" if view.card is not None else "stated" if known.source == "stated" else "prior",
    )


def _tenant(name: str, given: Given) -> Place:
    return Place(
        name=name,
        latency_s=given.latency_s,
        cost_usd=given.cost_usd,
        quality=given.quality,
        answers=given.answers,
        basis="observed",
    )


def _front(places: Sequence[Place], axis: Axis) -> tuple[str, ...]:
    """Those that no other one beats on the axis without being worse, by the axis."""
    front, best = [], -1.0
    for place in sorted(places, key=lambda p: (getattr(p, axis), -(p.quality or 0.0))):
        if (place.quality or 0.0) > best:
            best = place.quality or 0.0
            front.append(place.name)
    return tuple(front)
