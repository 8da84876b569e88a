"""What the page of a request says, before any template places it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.console.advice import ADVICE
from gateway.console.amounts import NONE, marked, percent, seconds, usd
from gateway.console.blame import headline
from gateway.console.candidates import candidates
from gateway.console.picture import LABELS, MOST_ROWS, PLOT, picture
from gateway.console.request_view import ROLES, request_view
from gateway.decisions.types import Record
from gateway.routing.attempts import Role
from gateway.telemetry import names
from gateway.telemetry.blame import CAUSES
from gateway.traces.waterfall import waterfall
from tests.decision_rows import decision, outcome
from tests.trace_rows import span, trace


def estimate(**changes: float) -> dict[str, float]:
    plain = {"quality": 0.7, "quality_se": 0.02, "ttft_s": 0.1, "tpot_s": 0.01, "latency_s": 1.0, "cost_usd": 1e-5}
    return plain | {"completion_tokens": 10.0} | changes


def verdict(variant: str, /, **changes: Any) -> dict[str, Any]:
    plain = {"variant": variant, "state": "warm", "excluded_because": None, "estimate": estimate(), "utility": 0.5}
    return plain | {"propensity": 0.0, "running": 0, "queued": 0} | changes


def record(*verdicts: dict[str, Any], ended: dict[str, Any] | None = None, **changes: Any) -> Record:
    rows = list(verdicts) or [verdict("quantized", propensity=1.0)]
    decided = decision("dec_1", candidates=rows, **changes)
    return Record(decision=decided, outcome=outcome("dec_1", **(ended or {})), observations=[])


def told(stage: str, stage_s: float, /, *, ended: dict[str, Any] | None = None, **changes: Any) -> str:
    return headline(trace(stage=stage, stage_s=stage_s, **changes), record(ended=ended)).sentence


def test_every_cause_has_advice_and_every_advice_a_cause() -> None:
    assert set(ADVICE) == set(CAUSES)
    assert all(ADVICE.values())


def test_a_full_queue_is_told_with_the_places_that_were_taken() -> None:
    waited = span("queue", 0.0, 8.0, **{names.QUEUE_PLACES: {"quantized": 4}, names.QUEUE_WAITING: 3})
    spans = (span("request", 0.0, 9.0, under=None), waited)
    sentence = told("queue", 8.2, duration_s=9.0, spans=spans)
    assert sentence == (
        "Slow because it waited 8.2 s of its 9.0 s in the queue: all 4 places of `quantized` were taken,"
        " and 3 requests waited already."
    )


def test_a_cold_start_is_told_with_what_had_been_predicted() -> None:
    sentence = told("load", 12.0, duration_s=13.0)
    assert sentence.startswith("Slow because `quantized` was not running, and starting it took 12 s of its 13 s")
    assert "100 ms to the first token had been predicted" in sentence


def test_slow_decoding_is_told_by_its_pace_against_the_predicted_one() -> None:
    sentence = told("generate", 24.0, duration_s=25.0, ended={"completion_tokens": 240})
    assert "`quantized` took 24 s of its 25 s to generate 240 tokens, 10 tokens/s where 100 had been" in sentence


def test_a_slow_redis_is_told_with_its_calls() -> None:
    spans = (span("request", 0.0, 0.5, under=None), span("redis", 0.0, 0.1), span("redis", 0.2, 0.3))
    sentence = told("redis", 0.4, duration_s=0.5, spans=spans)
    assert sentence == "Slow because it waited 400 ms of its 500 ms for Redis in 2 calls, the longest 300 ms."


def test_failed_attempts_are_told_each_with_its_error() -> None:
    tried = [{"variant": "full", "latency_s": 3.0, "error_type": "upstream_timeout", "propensity": 1.0}]
    sentence = told("failed_attempt", 3.0, duration_s=4.0, kept="escalated", ended={"attempts": tried})
    assert sentence.startswith("1 variant asked in 4.0 s: 3.0 s of its 4.0 s went to attempts that failed: `full`")
    assert "`upstream_timeout` after 3.0 s" in sentence


@pytest.mark.parametrize("cause", sorted(CAUSES))
def test_every_cause_makes_a_sentence_whatever_is_known(cause: str) -> None:
    for kept in ("slow", "failed", "escalated", "sampled"):
        bare = headline(trace(stage=cause, kept=kept, variant=None, spans=(), duration_s=0.0), None)
        assert bare.sentence.endswith(".")
        assert "None" not in bare.sentence


def test_the_chosen_candidate_comes_first_and_each_other_says_why_not() -> None:
    slow = verdict("full", estimate=estimate(latency_s=4.0, cost_usd=4e-5), utility=0.2)
    out = verdict("tiny", excluded_because={"reason": "ttft", "detail": "4 s > 2 s"}, utility=None)
    rows = candidates(record(out, slow, verdict("quantized", propensity=1.0)).decision)
    assert [row.variant for row in rows] == ["quantized", "full", "tiny"]
    assert [row.fate for row in rows] == ["chosen", "lost", "excluded"]
    assert rows[1].why == "slower: 4.0 s against 1.00 s, dearer: $0.00004 against $0.00001"
    assert rows[2].why == "is predicted to be late with the first token: 4 s > 2 s"


def test_an_explored_choice_says_so_on_both_sides() -> None:
    better = verdict("full", utility=0.9)
    rows = candidates(record(better, verdict("quantized", utility=0.1), explored=True).decision)
    assert rows[0].why.startswith("tried to learn from it")
    assert rows[1].why.startswith("had more utility")


def test_a_forced_choice_is_called_an_early_answer() -> None:
    good = verdict("full", utility=0.9, worth=0.9)
    told = record(good, verdict("quantized", utility=0.1, worth=0.1), forced=True, explored=True)
    assert candidates(told.decision)[0].why.startswith("an early answer")
    assert request_view(trace(), told).meaning.startswith("This is an early answer of `quantized`")


LINEAR: dict[str, float | None] = {"quality_weight": 1.0, "keep": None, "per_usd": 20.0, "per_s": 0.0}


def test_the_page_says_in_one_sentence_why_this_variant() -> None:
    dear = verdict("full", estimate=estimate(quality=0.75, cost_usd=0.01), utility=0.55, worth=0.55)
    cheap = verdict("quantized", estimate=estimate(cost_usd=0.001), utility=0.68, worth=0.68, propensity=1.0)
    view = request_view(trace(), record(dear, cheap, valuation=LINEAR))
    assert view.meaning == (
        "`full` would be 5 points better at 10 times the price; `balanced` pays up to $0.0005 for a point, and so"
        " counts the difference as 18 points."
    )
    assert {fact.name: fact.value for fact in view.terms}["A point of quality"] == "up to $0.0005"


def test_what_counted_in_a_comparison_are_the_prices_it_was_decided_at() -> None:
    dear = verdict("full", estimate=estimate(cost_usd=0.01, latency_s=9.0), utility=0.5)
    rows = candidates(record(dear, verdict("quantized", propensity=1.0), valuation=LINEAR).decision)
    assert rows[1].why.startswith("dearer: ")
    assert "slower" not in rows[1].why


def test_a_rule_whose_weights_are_not_known_is_not_taken_for_the_hint() -> None:
    root = span("request", 0.0, 3.0, under=None, **{names.RULE: "legal"})
    dear = verdict("full", estimate=estimate(quality=0.75, cost_usd=0.01), utility=0.55, worth=0.55)
    view = request_view(trace(spans=(root,)), record(dear, verdict("quantized", utility=0.7), valuation=LINEAR))
    assert "the objective pays" in view.meaning


def test_every_role_has_words() -> None:
    assert set(ROLES) == set(Role.__args__)


def test_bars_and_their_figures_stay_inside_the_picture() -> None:
    drawn = picture(waterfall(trace(duration_s=3.0)))
    for lane in drawn.lanes:
        assert LABELS <= lane.bar_x <= lane.bar_x + lane.bar_width <= LABELS + PLOT + 0.01
        assert 0 <= lane.figure_x <= drawn.width
    assert [lane.kind for lane in drawn.lanes].count("blamed") == 1


def test_a_trace_of_a_thousand_calls_is_drawn_in_part_and_says_so() -> None:
    spans = (span("request", 0.0, 9.0, under=None), *(span("redis", n / 1000, 0.5) for n in range(1000)))
    drawn = picture(waterfall(trace(spans=spans)))
    assert len(drawn.lanes) == MOST_ROWS
    assert drawn.left_out == 1001 - MOST_ROWS


def test_short_stages_next_to_each_other_are_one_line_unless_one_is_to_blame() -> None:
    short = [span(name, n / 1000, 0.001) for n, name in enumerate(("auth", "body", "redis", "redis"))]
    spans = (span("request", 0.0, 9.0, under=None), *short, span("queue", 1.0, 8.0))
    assert [lane.name for lane in picture(waterfall(trace(spans=spans, stage="queue"))).lanes] == [
        "request",
        "auth, body, redis (4)",
        "queue",
    ]
    lanes = picture(waterfall(trace(spans=spans, stage="body"))).lanes
    assert [lane.name for lane in lanes] == ["request", "auth", "body", "redis (2)", "queue"]


def test_prompt_and_answer_are_there_only_where_they_were_kept() -> None:
    assert request_view(trace(), record()).prompt is None
    root = span("request", 0.0, 3.0, under=None, **{names.PROMPT: "why?", names.ANSWER: "because"})
    kept = request_view(trace(spans=(root,)), record())
    assert (kept.prompt, kept.answer) == ("why?", "because")
    assert "why" not in kept.replay_url
    assert f"from={kept.id}" in kept.replay_url


def test_the_collectors_page_is_linked_where_one_is_configured() -> None:
    url = request_view(trace(), None, trace_url="http://jaeger/trace/{trace_id}").trace_url
    assert url == f"http://jaeger/trace/{trace().trace_id}"
    assert request_view(trace(), None).trace_url is None


def test_figures_read_well() -> None:
    assert [seconds(s) for s in (None, 0.0, 2e-6, 0.0012, 0.34, 8.24, 61.0, 125.0)] == [
        NONE, "0 µs", "2 µs", "1.2 ms", "340 ms", "8.2 s", "61 s", "2 min 5 s",
    ]  # fmt: skip
    assert [usd(v) for v in (None, 0.0, 12.5, 0.00123, 1e-12)] == [NONE, "$0", "$12.50", "$0.00123", "< $0.000000001"]
    assert [percent(r) for r in (None, 0.0, 0.0001, 0.034, 0.5, 1.0)] == [
        NONE,
        "0 %",
        "< 0.1 %",
        "3.4 %",
        "50 %",
        "100 %",
    ]


def test_what_is_marked_as_code_is_escaped() -> None:
    assert marked("a `<b>` <i>") == "a <code>&lt;b&gt;</code> &lt;i&gt;"
    assert marked("one ` <i>") == "one ` &lt;i&gt;"
