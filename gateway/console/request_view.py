"""All that the page of one request says, as texts and figures: the template only places them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import msgspec

from gateway.console.amounts import moment, number, percent, seconds, usd
from gateway.console.blame import Headline, headline
from gateway.console.candidates import CandidateView, candidates, observed
from gateway.console.decided import paid_for_a_point, sentence
from gateway.console.facts import Fact
from gateway.console.picture import Picture, picture
from gateway.decisions.types import Record
from gateway.telemetry import names
from gateway.traces.types import KeptSpan, TraceRow, TraceSummary
from gateway.traces.waterfall import Bar, waterfall

__all__ = ("AttemptView", "RequestView", "SimilarView", "request_view")

ROLES = {
    "first": "chosen first",
    "retry": "asked once more",
    "fallback": "in place of one that failed",
    "hedge": "to race one that was slow",
    "escalation": "the first answer would not do",
}
"""Why a variant was asked, in words."""


@dataclass(frozen=True, kw_only=True)
class AttemptView:
    """One try at one variant."""

    variant: str
    why: str
    state: str
    took: str
    predicted: str
    tokens: str
    cost: str
    confidence: str
    error: str
    """Empty for one that answered."""


@dataclass(frozen=True, kw_only=True)
class SimilarView:
    """A link to a further request that was slow for the same reason."""

    id: str
    when: str
    who: str
    took: str
    stage_took: str


@dataclass(frozen=True, kw_only=True)
class RequestView:
    """The page of one request."""

    id: str
    headline: Headline
    kept: str
    when: str
    facts: tuple[Fact, ...]
    picture: Picture
    bars: tuple[Bar, ...]
    attempts: tuple[AttemptView, ...]
    meaning: str
    """Why this variant, in one sentence; empty where nothing was decided, or too little is known of it."""
    candidates: tuple[CandidateView, ...]
    observed: Mapping[str, str]
    terms: tuple[Fact, ...]
    """What the request asked for, and what the policy made of it."""
    features: tuple[Fact, ...]
    similar: tuple[SimilarView, ...]
    trace_id: str
    trace_url: str | None
    """Where the collector shows it; None where no such place is configured."""
    prompt: str | None
    """Only where its tenant lets it be kept."""
    answer: str | None
    replay_url: str


def request_view(
    trace: TraceRow, record: Record | None, *, similar: Sequence[TraceSummary] = (), trace_url: str | None = None
) -> RequestView:
    """What is to be seen of a trace.

    Args:
        trace: The request.
        record: Its decision and outcome, where there were any.
        similar: Further requests for which the same is to blame.
        trace_url: Address with `{trace_id}` at which traces are shown elsewhere.
    """
    told = trace.spans[0].attributes if trace.spans else {}
    bars = waterfall(trace)
    return RequestView(
        id=trace.span_id,
        headline=headline(trace, record),
        kept=trace.kept,
        when=moment(trace.started_at_s),
        facts=_facts(trace, told, record),
        picture=picture(bars),
        bars=bars,
        attempts=tuple(_attempt(span) for span in trace.spans if span.name == "attempt"),
        meaning="" if record is None else sentence(record.decision, rule=told.get(names.RULE)),
        candidates=() if record is None else candidates(record.decision),
        observed={} if record is None else observed(record.outcome),
        terms=_terms(told, record),
        features=() if record is None else _features(record.decision.features),
        similar=tuple(_similar(other) for other in similar),
        trace_id=trace.trace_id,
        trace_url=None if trace_url is None else trace_url.replace("{trace_id}", trace.trace_id),
        prompt=told.get(names.PROMPT),
        answer=told.get(names.ANSWER),
        replay_url="/console/playground?" + urlencode(_replay(trace, told)),
    )


def _facts(trace: TraceRow, told: Mapping[str, Any], record: Record | None) -> tuple[Fact, ...]:
    outcome = None if record is None else record.outcome
    found = [
        Fact(name="Took", value=seconds(trace.duration_s)),
        Fact(name="Tenant", value=trace.tenant or "nobody was let in"),
        Fact(name="Variant", value=trace.variant or "none", kind="code"),
        Fact(name="Status", value=str(trace.status) if trace.status else "no answer was begun"),
    ]
    if outcome is not None:
        found += [
            Fact(name="First token", value=seconds(outcome.ttft_s)),
            Fact(name="Tokens", value=f"{outcome.prompt_tokens:,} in, {outcome.completion_tokens:,} out"),
            Fact(name="Cost", value=usd(outcome.cost_usd)),
            Fact(name="Cache", value=outcome.cache),
        ]
    if trace.error_type:
        found.append(Fact(name="Error", value=trace.error_type, kind="code"))
    if tags := told.get(names.TAGS):
        found.append(Fact(name="Tags", value=str(tags), kind="code"))
    return tuple(found)


def _terms(told: Mapping[str, Any], record: Record | None) -> tuple[Fact, ...]:
    """What counted in the choice, and by whose word."""
    found = {"Asked for": told.get(names.REQUEST_MODEL), "Hint": told.get(names.HINT)}
    if record is not None:
        decision = record.decision
        weights = ", ".join(f"{name} {value:g}" for name, value in decision.weights.items() if value)
        limits = ", ".join(_limit(name, value) for name, value in decision.limits.items() if value is not None)
        point = paid_for_a_point(decision)
        found |= {"Weights": weights, "A point of quality": f"up to {point}" if point else None}
        found |= {"Limits": limits or "none", "Urgency": decision.service_tier}
        found |= {"Policy": decision.policy_hash[:12], "Rule": told.get(names.RULE) or "none matched"}
        found |= {"Decision": decision.decision_id}
    found |= {"Prices of budget and SLA": _prices(told.get(names.PRICES)), "Request": told.get(names.REQUEST_ID)}
    codes = {"Policy", "Decision", "Request"}
    urls = {} if record is None else {"Policy": f"/console/policies/{record.decision.policy_hash}"}
    return tuple(
        Fact(name=name, value=str(value), kind="code" if name in codes else "text", url=urls.get(name, ""))
        for name, value in found.items()
        if value
    )


def _limit(name: str, value: float) -> str:
    if name.endswith("_s"):
        return f"{'first token' if name == 'ttft_s' else 'latency'} within {seconds(value)}"
    return f"at most {usd(value)}" if name.endswith("_usd") else f"quality from {value:g} on"


def _prices(told: object) -> str:
    """The shadow prices, which were stored as JSON."""
    try:
        prices = msgspec.json.decode(str(told), type=dict[str, float | None])
    except msgspec.MsgspecError:
        return ""
    units = {"per_usd": "utility per $", "per_s": "per second", "per_quality": "per unit of quality"}
    return ", ".join(f"{prices[name]:.3g} {unit}" for name, unit in units.items() if prices.get(name))


def _features(told: object) -> tuple[Fact, ...]:
    """The plain figures among the features; long vectors say nothing to a person."""
    if not isinstance(told, Mapping):
        return ()
    plain = {name: value for name, value in told.items() if isinstance(value, str | int | float | bool)}
    return tuple(
        Fact(name=str(name).replace("_", " "), value=f"{value:g}" if isinstance(value, float) else str(value))
        for name, value in list(plain.items())[:16]
    )


def _attempt(span: KeptSpan) -> AttemptView:
    told = span.attributes
    prompt, completion = told.get(names.INPUT_TOKENS), told.get(names.OUTPUT_TOKENS)
    role = str(told.get(names.ROLE, "first"))
    held = {"low_confidence": " (held back: not sure enough)", "check_failed": " (held back: a check failed)"}
    return AttemptView(
        variant=str(told.get(names.VARIANT, "")),
        why=ROLES.get(role, role) + held.get(str(told.get(names.HELD)), ""),
        state=str(told.get(names.STATE, "")),
        took=seconds(span.duration_s),
        predicted=seconds(told.get(names.PREDICTED_LATENCY_S)),
        tokens=f"{prompt or 0:,} in, {completion or 0:,} out",
        cost=usd(told.get(names.COST_USD)),
        confidence=number(told.get(names.CONFIDENCE)),
        error=str(told.get(names.ERROR_TYPE, "")),
    )


def _similar(other: TraceSummary) -> SimilarView:
    share = percent(other.stage_s / other.duration_s if other.duration_s else None)
    return SimilarView(
        id=other.span_id,
        when=moment(other.started_at_s),
        who=f"{other.tenant or 'nobody'}, {other.variant or 'no variant'}",
        took=seconds(other.duration_s),
        stage_took=f"{seconds(other.stage_s)} ({share})",
    )


def _replay(trace: TraceRow, told: Mapping[str, Any]) -> dict[str, str]:
    """What the playground is to begin with. The prompt goes along by the trace's id, never in an address."""
    named = {
        "hint": told.get(names.HINT),
        "max_tokens": told.get(names.MAX_TOKENS),
        "temperature": told.get(names.TEMPERATURE),
        "only": told.get(names.REQUEST_MODEL),
        "from": trace.span_id if told.get(names.PROMPT) else None,
    }
    return {name: str(value) for name, value in named.items() if value is not None}
