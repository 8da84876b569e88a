"""The candidates of a decision as a table: what each was predicted to take, and why it was not the one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.console.amounts import number, percent, seconds, usd
from gateway.decisions.types import DecisionRow, OutcomeRow
from policies.meaning import EXCLUDED

__all__ = ("CandidateView", "candidates", "observed")

WORSE = 1.05
"""A figure is called worse from this ratio on; below it, nobody would see the difference."""


@dataclass(frozen=True, kw_only=True)
class CandidateView:
    """One row; the figures as texts."""

    variant: str
    state: str
    fate: str
    """`chosen`, `lost` or `excluded`."""
    why: str
    """Why it was chosen, lost, or was excluded."""
    ttft: str
    latency: str
    cost: str
    quality: str
    utility: str
    propensity: str
    load: str
    """Requests running and queued there when it was decided."""


def candidates(decision: DecisionRow) -> tuple[CandidateView, ...]:
    """The chosen one first, then those that lost by their utility, then the excluded."""
    rows = decision.candidates
    chosen = next((row for row in rows if row["variant"] == decision.choice), None)
    ordered = sorted(rows, key=lambda row: _rank(row, decision.choice))
    return tuple(_row(row, decision, chosen) for row in ordered)


def observed(outcome: OutcomeRow | None) -> Mapping[str, str]:
    """What came of the choice, under the names of a row's figures."""
    if outcome is None:
        return {}
    return {
        "ttft": seconds(outcome.ttft_s),
        "latency": seconds(outcome.latency_s),
        "cost": usd(outcome.cost_usd),
        "variant": outcome.variant or "",
    }


def _rank(row: Mapping[str, Any], choice: str | None) -> tuple[int, float]:
    if row["variant"] == choice:
        return 0, 0.0
    if row.get("excluded_because"):
        return 2, 0.0
    return 1, -(row.get("utility") or 0.0)


def _row(row: Mapping[str, Any], decision: DecisionRow, chosen: Mapping[str, Any] | None) -> CandidateView:
    estimate = row.get("estimate") or {}
    excluded = row.get("excluded_because")
    fate = "chosen" if row is chosen else "excluded" if excluded else "lost"
    return CandidateView(
        variant=row["variant"],
        state=row.get("state") or "",
        fate=fate,
        why=_chosen(decision) if row is chosen else _excluded(excluded) if excluded else _lost(row, decision, chosen),
        ttft=seconds(estimate.get("ttft_s")),
        latency=seconds(estimate.get("latency_s")),
        cost=usd(estimate.get("cost_usd")),
        quality=_quality(estimate),
        utility=number(row.get("utility"), digits=3),
        propensity=percent(row.get("propensity")),
        load=f"{row.get('running') or 0} + {row.get('queued') or 0}",
    )


def _quality(estimate: Mapping[str, Any]) -> str:
    spread = estimate.get("quality_se")
    return number(estimate.get("quality")) + (f" ± {spread:.2f}" if spread else "")


def _chosen(decision: DecisionRow) -> str:
    reasons = {
        "the request named it": decision.pinned,
        "the policy's fixed order took it: predictions could not be trusted": decision.fallback_used,
        f"nothing kept every limit; it broke `{decision.violated}` least": bool(decision.violated),
        "an early answer: every variant gets a few, so that its quality can be learned": decision.forced,
        "tried to learn from it, although another had more utility": decision.explored,
    }
    return next((text for text, holds in reasons.items() if holds), "highest utility")


def _excluded(excluded: Mapping[str, Any]) -> str:
    words = EXCLUDED.get(excluded["reason"], str(excluded["reason"]))
    return f"{words}: {excluded['detail']}" if excluded.get("detail") else words


def _lost(row: Mapping[str, Any], decision: DecisionRow, chosen: Mapping[str, Any] | None) -> str:
    """In what it is worse than the chosen one, as far as that was counted."""
    mine, theirs = row.get("estimate"), (chosen or {}).get("estimate")
    if decision.fallback_used or not mine or not theirs:
        return "comes later in the policy's fixed order" if decision.fallback_used else "not compared"
    if decision.explored and (row.get("utility") or 0.0) > ((chosen or {}).get("utility") or 0.0):
        return "had more utility; another one was tried to learn from it"
    worse = _worse(mine, theirs, _counted(decision))
    return ", ".join(worse) if worse else "less utility, by little"


def _counted(decision: DecisionRow) -> Mapping[str, float | None]:
    """Whether speed, cost and accuracy counted: by the prices it was decided at, else by the weights."""
    found, added = decision.valuation, decision.prices or {}
    if found is None:
        return decision.weights
    return {
        "speed": (found.get("per_s") or 0.0) + (added.get("per_s") or 0.0),
        "cost": (found.get("per_usd") or 0.0) + (added.get("per_usd") or 0.0),
        "accuracy": (found.get("quality_weight") or 0.0) + (added.get("per_quality") or 0.0),
    }


def _worse(mine: Mapping[str, Any], theirs: Mapping[str, Any], weights: Mapping[str, float | None]) -> list[str]:
    found = []
    if weights.get("speed") and mine["latency_s"] > theirs["latency_s"] * WORSE:
        found.append(f"slower: {seconds(mine['latency_s'])} against {seconds(theirs['latency_s'])}")
    if weights.get("cost") and mine["cost_usd"] > theirs["cost_usd"] * WORSE:
        found.append(f"dearer: {usd(mine['cost_usd'])} against {usd(theirs['cost_usd'])}")
    if weights.get("accuracy") and mine["quality"] * WORSE < theirs["quality"]:
        found.append(f"worse answers: {mine['quality']:.2f} against {theirs['quality']:.2f}")
    return found
