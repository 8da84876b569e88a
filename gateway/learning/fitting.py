"""The fits of one training, each held against what is in force. Loads scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy.engine import Engine

from gateway.learning.cascade import escalation_of, learn_cascade
from gateway.learning.estimators import ANSWERS, CASCADE, LATENCY
from policies.errors import ArtifactError
from policies.escalation import Escalation
from policies.estimators.artifact import Artifact
from policies.policy import Cascade
from policies.samples import Sample
from policies.training.fit import KINDS, train
from policies.training.fit import STAGES as FITS
from policies.types import Candidate

__all__ = ("STAGES", "Fitted", "as_json", "fit_all")

STAGES = (*FITS, CASCADE)

_TARGETS = {ANSWERS: ("quality", "length"), LATENCY: ("ttft", "latency")}

LEAST_CHANGE = 0.005
"""A threshold of a cascade that moved by less is left as it is."""


@dataclass(kw_only=True)
class Fitted:
    """What the fits came to, by kind."""

    better: dict[str, Artifact] = field(default_factory=dict)
    """What is to take the place of what is in force."""
    because: dict[str, str] = field(default_factory=dict)
    """Why, or why not."""
    report: dict[str, Any] = field(default_factory=dict)
    """The comparisons behind it."""


def fit_all(
    samples: Sequence[Sample],
    *,
    candidates: Mapping[str, Candidate],
    in_force: Mapping[str, Artifact],
    cascade: Cascade | None,
    engine: Engine,
    on_stage: Callable[[str], None] = lambda _: None,
) -> Fitted:
    """Fit every kind, and say which is better than what is in force.

    Args:
        samples: Answered requests, oldest first; at least one.
        candidates: Variants with their profiles and prices.
        in_force: Artifacts that decide now, by kind.
        cascade: Of the policy in force.
        engine: The log, where calibrations are read for the cascade.
        on_stage: Told when each of `STAGES` begins.
    """
    trained = train(samples, candidates=candidates, in_force=in_force, on_stage=on_stage)
    fitted = Fitted(better=trained.artifacts, because=trained.because)
    for kind in KINDS:
        fitted.report[kind] = {
            "comparisons": [found for found in trained.comparisons if found.kind == kind],
            "lines": [line for line in trained.lines if line.target in _TARGETS[kind]],
        }
    on_stage(CASCADE)
    if cascade is not None:
        _cascade(fitted, engine, cascade, in_force.get(CASCADE))
    return fitted


def _cascade(fitted: Fitted, engine: Engine, cascade: Cascade, now: Artifact | None) -> None:
    if cascade.threshold is not None:
        fitted.because[CASCADE] = "the policy states the threshold itself"
        return
    learned = learn_cascade(engine, cascade)
    if learned is None:
        fitted.because[CASCADE] = (
            f"too few requests were answered by both `{cascade.first}` and `{cascade.then}`, or the confidence of "
            "the first tells nothing"
        )
        return
    fitted.report[CASCADE] = learned
    beyond = f"{learned.recovers - learned.escalates:+.1%} ± {learned.recovers_se:.1%}"
    found = escalation_of(cascade, learned)
    fitted.because[CASCADE] = (
        f"below a confidence of {learned.threshold:.3f} it asks `{cascade.then}` for {learned.escalates:.0%} of "
        f"{learned.rows} requests and wins back {learned.recovers:.0%}: {beyond} beyond chance"
    )
    if _same(found, now):
        fitted.because[CASCADE] += ", as before"
    else:
        fitted.better[CASCADE] = found.to_artifact(facts={"rows": learned.rows})


def _same(found: Escalation, now: Artifact | None) -> bool:
    try:
        before = None if now is None else Escalation.from_artifact(now)
    except ArtifactError:
        return False
    if before is None or (before.first, before.then) != (found.first, found.then):
        return False
    pairs = (
        (before.threshold, found.threshold),
        (before.escalates, found.escalates),
        (before.recovers, found.recovers),
    )
    return all(abs(a - b) < LEAST_CHANGE for a, b in pairs)


def as_json(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report as plain JSON values; NaN and infinity become null."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(report))
    return found
