"""Logs of routed requests in worlds where the truth is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from gateway.decisions.types import Row
from policies.evaluation.routed import Realised, RoutedRequest
from policies.types import CandidateState, Estimate, Verdict
from policies.valuation import Valuation
from tests.decision_rows import decision, observation, outcome
from tests.logged_worlds import drawn, softmax

__all__ = ("NAMES", "START_S", "RoutedWorld", "estimate", "routed", "routed_world", "rows_of", "verdict")

NAMES = ("large", "mid", "small")
QUALITY = np.array([0.8, 0.65, 0.45])
COST_USD = np.array([4e-3, 1e-3, 2e-4])
LATENCY_S = np.array([3.0, 1.5, 0.6])
VALUATION = Valuation(per_usd=30.0, per_s=0.02)
START_S = 1_700_000_000.0


class RoutedWorld(NamedTuple):
    """A log, and what is true of the policy that wrote it."""

    requests: list[RoutedRequest]
    advantage: dict[str, float]
    """Expected utility of routing less that of always taking a variant, over the log's requests."""


def estimate(**changes: float | None) -> Estimate:
    plain = {
        "quality": 0.5,
        "ttft_s": 0.2,
        "ttft_high_s": 0.4,
        "tpot_s": 0.01,
        "completion_tokens": 64.0,
        "latency_s": 1.0,
        "latency_high_s": 2.0,
        "cost_usd": 1e-3,
    }
    return Estimate(**(plain | changes))  # type: ignore[arg-type]


def verdict(name: str, *, propensity: float, utility: float | None = None, **changes: float | None) -> Verdict:
    return Verdict(
        variant=name,
        state=CandidateState.WARM,
        excluded_because=None,
        estimate=estimate(**changes),
        utility=utility,
        propensity=propensity,
    )


def routed(choice: str, *verdicts: Verdict, number: int = 0, **changes: object) -> RoutedRequest:
    plain: dict[str, object] = {
        "created_at_s": START_S + number,
        "tenant": "law",
        "hint": "balanced",
        "choice": choice,
        "verdicts": verdicts,
        "valuation": VALUATION,
    }
    return RoutedRequest(**(plain | changes))  # type: ignore[arg-type]


def routed_world(
    seed: int,
    *,
    rows: int = 600,
    sharpness: float = 12.0,
    context: float = 0.15,
    level_se: float = 0.05,
    floor: float = 0.01,
    every_s: float = 60.0,
) -> RoutedWorld:
    """Draw a log.

    Args:
        seed: Of everything that is drawn.
        rows: Requests; all are answered and judged.
        sharpness: Of the softmax on predicted utility that routes; negative ones choose badly.
        context: Standard deviation of what a request sets variants apart by, which predictions know.
        level_se: Standard error of a variant's predicted quality, the same error in all rows, and stated as such.
        floor: Share spread evenly.
        every_s: Between requests.
    """
    rng = np.random.default_rng(seed)
    k = len(NAMES)
    quality = np.clip(QUALITY + context * rng.normal(size=(rows, k)), 0.02, 0.98)
    predicted = np.clip(quality + level_se * rng.normal(size=k), 0.0, 1.0)
    price = VALUATION.per_usd * COST_USD + VALUATION.per_s * LATENCY_S
    worth, expected = quality - price, predicted - price
    logging = (1.0 - floor) * softmax(sharpness * expected) + floor / k
    actions = drawn(logging, rng)
    scores = rng.random(rows) < quality[np.arange(rows), actions]
    spread = np.exp(0.4 * rng.normal(size=rows))
    requests = [
        routed(
            NAMES[a],
            *(
                verdict(
                    name,
                    propensity=float(logging[row, i]),
                    utility=float(expected[row, i]),
                    quality=float(predicted[row, i]),
                    quality_se=level_se,
                    cost_usd=float(COST_USD[i]),
                    latency_s=float(LATENCY_S[i]),
                    latency_high_s=float(LATENCY_S[i] * np.exp(0.4 * 1.645)),
                )
                for i, name in enumerate(NAMES)
            ),
            created_at_s=START_S + every_s * row,
            realised=Realised(
                cost_usd=float(COST_USD[a]),
                latency_s=float(LATENCY_S[a] * spread[row]),
                ttft_s=0.2,
                quality=float(scores[row]),
            ),
        )
        for row, a in enumerate(actions.tolist())
    ]
    advantage = ((logging * worth).sum(axis=1)[:, None] - worth).mean(axis=0)
    return RoutedWorld(requests, dict(zip(NAMES, advantage.tolist(), strict=True)))


def rows_of(requests: Sequence[RoutedRequest], *, ends_s: float, prefix: str = "dec") -> list[Row]:
    """A log of these requests, the last of which was decided at a given time."""
    shift_s = ends_s - max(request.created_at_s for request in requests)
    return [row for number, request in enumerate(requests) for row in _rows(f"{prefix}_{number}", request, shift_s)]


def _rows(name: str, request: RoutedRequest, shift_s: float) -> Iterator[Row]:
    at_s, realised = request.created_at_s + shift_s, request.realised
    yield decision(
        name,
        created_at_s=at_s,
        tenant=request.tenant,
        hint=request.hint,
        choice=request.choice,
        candidates=msgspec.to_builtins(request.verdicts),
        propensities={v.variant: v.propensity for v in request.verdicts},
        pinned=request.pinned,
        forced=request.forced,
        valuation=None if request.valuation is None else msgspec.to_builtins(request.valuation),
        prices=msgspec.to_builtins(request.prices),
    )
    if realised is None:
        return
    yield outcome(
        name,
        ended_at_s=at_s + realised.latency_s,
        variant=request.choice,
        attempts=[{"variant": request.choice, "propensity": 0.5}],
        latency_s=realised.latency_s,
        ttft_s=realised.ttft_s,
        cost_usd=realised.cost_usd,
        streamed=realised.ttft_s is not None,
    )
    if realised.quality is not None:
        yield observation(name, created_at_s=at_s + realised.latency_s + 1, score=realised.quality)
