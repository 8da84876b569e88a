"""What is to blame for the time a request took: whatever took longest beyond what was expected of it.

Of calling a variant as long is expected as was predicted; of everything else nothing. Where no part took longer than
expected, the longest is named.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gateway.telemetry import names
from gateway.telemetry.stages import STAGES
from gateway.traces.types import KeptSpan

__all__ = ("CAUSES", "Blame", "blame")

CAUSES: dict[str, str] = {
    **{stage: text for stage, text in STAGES.items() if stage != "upstream"},
    "redis": "waiting for Redis, in a stage that did little else",
    "worker": "waiting in the variant's own queue",
    "failed_attempt": "attempts that failed before one answered",
    "client": "an answer that was there waiting for its caller to read it",
    "other": "whatever no stage accounts for",
}
"""Whatever can be to blame, and what it means. A whole answer's time is that of `first_token` and `generate`, where
its worker told them apart, and that of `generate` where it did not."""

LEAST_SHARE = 0.1
"""What exceeds its expectation by less than this share of the whole time is no explanation."""


class Blame(NamedTuple):
    """What is to blame."""

    cause: str
    """A key of `CAUSES`."""
    seconds: float
    """That went there in all."""


def blame(spans: Sequence[KeptSpan], *, client_wait_s: float = 0.0) -> Blame:
    """What is to blame, from a trace's spans, the request's own first."""
    root, *parts = spans
    took, expected = _seconds(root, parts, client_wait_s=client_wait_s)
    took["other"] += max(0.0, root.duration_s - _covered_s(root, parts))
    excess = {cause: seconds - expected[cause] for cause, seconds in took.items()}
    worst = max(excess, key=lambda cause: excess[cause])
    if excess[worst] < LEAST_SHARE * root.duration_s:
        worst = max(took, key=lambda cause: took[cause])
    return Blame(worst, took[worst])


def _seconds(
    root: KeptSpan, parts: Sequence[KeptSpan], *, client_wait_s: float
) -> tuple[defaultdict[str, float], defaultdict[str, float]]:
    """Seconds by cause, and how many were expected."""
    took: defaultdict[str, float] = defaultdict(float)
    expected: defaultdict[str, float] = defaultdict(float)
    children: defaultdict[str | None, list[KeptSpan]] = defaultdict(list)
    for part in parts:
        children[part.parent_id].append(part)
    for part in children[root.span_id]:
        if part.name == "attempt":
            _attempt(part, children[part.span_id], took, expected)
        else:
            took[_stage(part, children[part.span_id])] += part.duration_s
    waited_s = min(client_wait_s, took["generate"])
    took["generate"] -= waited_s
    took["client"] += waited_s
    return took, expected


def _stage(part: KeptSpan, below: Sequence[KeptSpan]) -> str:
    """A stage, or Redis where it did little but wait for that."""
    redis_s = sum(span.duration_s for span in below if span.name == "redis")
    return "redis" if redis_s > part.duration_s / 2 else part.name


def _attempt(
    attempt: KeptSpan, below: Sequence[KeptSpan], took: defaultdict[str, float], expected: defaultdict[str, float]
) -> None:
    told = attempt.attributes
    if names.ERROR_TYPE in told and told[names.ERROR_TYPE] != "interrupted":
        if told[names.ERROR_TYPE] != "overtaken":  # Its time is that of the one that overtook it.
            took["failed_attempt"] += attempt.duration_s
        return
    ttft_s = float(told.get(names.PREDICTED_TTFT_S, 0.0))
    latency_s = float(told.get(names.PREDICTED_LATENCY_S, ttft_s))
    expected["first_token"] += ttft_s
    expected["generate"] += max(0.0, latency_s - ttft_s)
    seconds: Mapping[str, float] = {span.name: span.duration_s for span in below}
    for whole in ("load", "embed"):
        took[whole] += seconds.get(whole, 0.0)
    took["worker"] += seconds.get("worker.queue", 0.0)
    took["generate"] += seconds.get("generate", 0.0)
    took["first_token"] += max(0.0, seconds.get("first_token", 0.0) - seconds.get("worker.queue", 0.0))
    whole_s = seconds.get("upstream", 0.0) + seconds.get("hedge", 0.0) - seconds.get("worker.queue", 0.0)
    if whole_s > 0:
        prefill_s = min(whole_s, seconds.get("worker.prefill", 0.0))
        took["first_token"] += prefill_s
        took["generate"] += whole_s - prefill_s
        if not prefill_s:
            expected["generate"] += ttft_s


def _covered_s(root: KeptSpan, parts: Sequence[KeptSpan]) -> float:
    """Seconds of the request that lie in some part of it."""
    covered_s = until_s = 0.0
    for part in sorted((p for p in parts if p.parent_id == root.span_id), key=lambda p: p.began_s):
        ended_s = part.began_s + part.duration_s
        covered_s += max(0.0, ended_s - max(part.began_s, until_s))
        until_s = max(until_s, ended_s)
    return covered_s
