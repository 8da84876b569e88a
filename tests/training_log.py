"""The samples of a known world as rows of the decision log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from gateway.decisions.types import Row
from gateway.decisions.write import insert
from policies.features.layout import VERSION
from policies.features.stored import to_stored
from policies.samples import Sample
from tests.decision_rows import decision, observation, outcome, sqlite_url

__all__ = ("log_samples", "rows_of")


def log_samples(directory: Path, samples: Sequence[Sample], *, prefix: str = "dec") -> None:
    """Write samples to the log below a state directory."""
    engine = open_engine(sqlite_url(directory / "trilemma.db"))
    upgrade(engine)
    assert insert(engine, [row for i, s in enumerate(samples) for row in rows_of(s, f"{prefix}_{i:06}")]) == 0
    engine.dispose()


def rows_of(sample: Sample, name: str) -> list[Row]:
    """What the gateway would have logged."""
    verdict = {
        "variant": sample.variant,
        "state": sample.state,
        "queued": sample.queued,
        "running": sample.running,
        "propensity": sample.propensity,
    }
    rows: list[Row] = [
        decision(
            name,
            tenant=sample.tenant,
            created_at_s=sample.created_at_s,
            prompt_tokens=sample.prompt_tokens,
            max_completion_tokens=sample.max_completion_tokens,
            candidates=[verdict],
            choice=sample.variant,
            features=None if sample.features is None else to_stored(sample.features),
            features_hash=VERSION,
        ),
        outcome(
            name,
            variant=sample.variant,
            attempts=[{"variant": sample.variant, "propensity": sample.propensity, "latency_s": sample.latency_s}],
            ttft_s=sample.ttft_s,
            tpot_s=sample.tpot_s,
            latency_s=sample.latency_s,
            completion_tokens=sample.completion_tokens,
            finish_reason="length" if sample.cut else "stop",
            cost_usd=sample.cost_usd,
        ),
    ]
    if sample.quality is not None:
        rows.append(observation(name, score=sample.quality, weight=sample.quality_weight))
    return rows
