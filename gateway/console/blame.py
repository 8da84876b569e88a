"""Why a request took as long as it did, in one sentence with its figures, and what can be done about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.console.advice import ADVICE
from gateway.console.amounts import count, seconds
from gateway.decisions.types import Record
from gateway.telemetry import names
from gateway.telemetry.blame import CAUSES
from gateway.traces.types import KeptSpan, TraceRow

__all__ = ("Headline", "headline")


@dataclass(frozen=True, kw_only=True)
class Headline:
    """The first thing to read about a request."""

    sentence: str
    """Names of variants and the like stand between backticks."""
    advice: str
    """What to do about it."""
    stage: str
    """What is to blame."""


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What the sentences are made of."""

    trace: TraceRow
    record: Record | None

    @property
    def spent(self) -> str:
        """How much of its time went there."""
        return f"{seconds(self.trace.stage_s)} of its {seconds(self.trace.duration_s)}"

    @property
    def variant(self) -> str:
        """Whom the time was spent on."""
        return f"`{self.trace.variant}`" if self.trace.variant else "the variant"

    @property
    def predicted(self) -> dict[str, Any]:
        """What was predicted of the variant that answered; empty where nothing was."""
        candidates = self.record.decision.candidates if self.record else []
        found = next((c for c in candidates if c["variant"] == self.trace.variant), None)
        return (found or {}).get("estimate") or {}

    def spans(self, name: str) -> list[KeptSpan]:
        """All spans of this name."""
        return [span for span in self.trace.spans if span.name == name]


def headline(trace: TraceRow, record: Record | None) -> Headline:
    """What is to be told of a request before everything else.

    Args:
        trace: What was kept of it.
        record: Its decision and outcome; None where it had none.
    """
    facts = _Facts(trace=trace, record=record)
    tell = _CLAUSES.get(trace.stage, _general)
    return Headline(
        sentence=f"{_opening(facts)} {tell(facts)}.", advice=ADVICE.get(trace.stage, ""), stage=trace.stage
    )


def _opening(facts: _Facts) -> str:
    trace = facts.trace
    match trace.kept:
        case "slow":
            return "Slow because"
        case "failed":
            error = f" with `{trace.error_type}`" if trace.error_type else f" with status {trace.status}"
            return f"Failed{error} after {seconds(trace.duration_s)}:"
        case "escalated":
            tried = {attempt["variant"] for attempt in _attempts(facts)}
            return f"{count(len(tried), 'variant')} asked in {seconds(trace.duration_s)}:"
        case _:
            return f"Took {seconds(trace.duration_s)}:"


def _attempts(facts: _Facts) -> list[dict[str, Any]]:
    return facts.record.outcome.attempts if facts.record and facts.record.outcome else []


def _queue(facts: _Facts) -> str:
    told: dict[str, Any] = {}
    for span in facts.spans("queue"):
        told |= span.attributes
    places = told.get(names.QUEUE_PLACES)
    taken = _taken(places) if isinstance(places, dict) and places else ""
    ahead = told.get(names.QUEUE_WAITING)
    before = f", and {count(ahead, 'request')} waited already" if isinstance(ahead, int) and ahead else ""
    return f"it waited {facts.spent} in the queue{taken}{before}"


def _taken(places: dict[str, int]) -> str:
    if len(places) == 1:
        [(name, free)] = places.items()
        return f": {'the one place' if free == 1 else f'all {free} places'} of `{name}` {_was(free)} taken"
    each = ", ".join(f"{most} of `{name}`" for name, most in sorted(places.items())[:4])
    return f": every place of the variants that could answer it was taken ({each})"


def _was(places: int) -> str:
    return "was" if places == 1 else "were"


def _load(facts: _Facts) -> str:
    predicted = facts.predicted.get("ttft_s")
    foreseen = f"; {seconds(predicted)} to the first token had been predicted" if predicted else ""
    return f"{facts.variant} was not running, and starting it took {facts.spent}{foreseen}"


def _generate(facts: _Facts) -> str:
    tokens = facts.record.outcome.completion_tokens if facts.record and facts.record.outcome else 0
    if not tokens or facts.trace.stage_s <= 0:
        return f"{facts.variant} generated slowly: that took {facts.spent}"
    pace = f"{tokens / facts.trace.stage_s:.3g} tokens/s"
    tpot_s = facts.predicted.get("tpot_s")
    foreseen = f" where {1 / tpot_s:.3g} had been predicted" if tpot_s else ""
    return f"{facts.variant} took {facts.spent} to generate {count(tokens, 'token')}, {pace}{foreseen}"


def _first_token(facts: _Facts) -> str:
    tokens = facts.record.outcome.prompt_tokens if facts.record and facts.record.outcome else 0
    prompt = f" with a prompt of {count(tokens, 'token')}" if tokens else ""
    predicted = facts.predicted.get("ttft_s")
    foreseen = f"; {seconds(predicted)} had been predicted" if predicted is not None else ""
    return f"it waited {facts.spent} for the first token of {facts.variant}{prompt}{foreseen}"


def _redis(facts: _Facts) -> str:
    calls = facts.spans("redis")
    longest_s = max((span.duration_s for span in calls), default=None)
    each = f" in {count(len(calls), 'call')}, the longest {seconds(longest_s)}" if calls else ""
    return f"it waited {facts.spent} for Redis{each}"


def _attempt(facts: _Facts) -> str:
    failed = [attempt for attempt in _attempts(facts) if attempt.get("error_type")]
    each = ", ".join(f"`{a['variant']}` with `{a['error_type']}` after {seconds(a['latency_s'])}" for a in failed[:3])
    return f"{facts.spent} went to attempts that failed" + (f": {each}" if each else "")


def _client(facts: _Facts) -> str:
    return f"the answer was there, and its caller took {facts.spent} to read it"


def _worker_queue(facts: _Facts) -> str:
    return f"{facts.variant} had accepted it, and let it wait {facts.spent} before it was taken up"


def _general(facts: _Facts) -> str:
    return f"{facts.spent} went to {CAUSES.get(facts.trace.stage, f'`{facts.trace.stage}`')}"


_CLAUSES = {
    "client": _client,
    "failed_attempt": _attempt,
    "first_token": _first_token,
    "generate": _generate,
    "load": _load,
    "queue": _queue,
    "redis": _redis,
    "worker": _worker_queue,
}
"""Those that have more to tell than how long they took."""
