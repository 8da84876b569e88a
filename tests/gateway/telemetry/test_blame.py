"""What is to blame: whatever took longest beyond what was expected of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry import names
from gateway.telemetry.blame import CAUSES, blame
from gateway.telemetry.stages import STAGES
from gateway.traces.types import KeptSpan

Parts = Sequence[tuple[str, float, float]]
Told = Mapping[str, Any]
NOTHING: Parts = ()
NO_WORD: Told = {}


def span(
    number: int, name: str, began_s: float, took_s: float, *, under: KeptSpan | None = None, told: Told = NO_WORD
) -> KeptSpan:
    return KeptSpan(
        span_id=f"{number:016x}",
        parent_id=None if under is None else under.span_id,
        name=name,
        began_s=began_s,
        duration_s=took_s,
        attributes=dict(told),
    )


def traced(
    parts: Parts, *, attempt: Parts = NOTHING, inside: Parts = NOTHING, total_s: float, told: Told = NO_WORD
) -> list[KeptSpan]:
    """A trace: stages, what lies in its one attempt, and what lies in its first stage."""
    root = span(0, "request", 0.0, total_s)
    found = [root, *(span(1 + i, *part, under=root) for i, part in enumerate(parts))]
    found += [span(50 + i, *part, under=found[1]) for i, part in enumerate(inside)]
    if attempt:
        began_s, ended_s = attempt[0][1], max(at_s + took_s for _, at_s, took_s in attempt)
        tried = span(99, "attempt", began_s, ended_s - began_s, under=root, told=told)
        found += [tried, *(span(100 + i, *part, under=tried) for i, part in enumerate(attempt))]
    return found


FAILED = {names.ERROR_TYPE: "timeout"}
PREDICTED = {names.PREDICTED_TTFT_S: 0.2, names.PREDICTED_LATENCY_S: 2.0}


@pytest.mark.parametrize(
    ("spans", "client_wait_s", "cause"),
    [
        (traced([("queue", 0.0, 8.0)], attempt=[("upstream", 8.0, 2.0)], total_s=10.0, told=PREDICTED), 0.0, "queue"),
        (traced([], attempt=[("load", 0.0, 6.0), ("upstream", 6.0, 2.0)], total_s=8.0, told=PREDICTED), 0.0, "load"),
        (
            traced([], attempt=[("first_token", 0.0, 0.2), ("generate", 0.2, 9.0)], total_s=9.2, told=PREDICTED),
            0.0,
            "generate",
        ),
        (
            traced([], attempt=[("first_token", 0.0, 3.0), ("generate", 3.0, 1.8)], total_s=4.8, told=PREDICTED),
            0.0,
            "first_token",
        ),
        (
            traced([], attempt=[("first_token", 0.0, 0.2), ("generate", 0.2, 9.0)], total_s=9.2, told=PREDICTED),
            8.0,
            "client",
        ),
        (traced([("limits", 0.0, 0.4)], inside=[("redis", 0.0, 0.39)], total_s=0.5), 0.0, "redis"),
        (traced([("limits", 0.0, 0.4)], inside=[("redis", 0.0, 0.1)], total_s=0.5), 0.0, "limits"),
        (
            traced([], attempt=[("upstream", 0.0, 5.0)], total_s=5.0, told={names.ERROR_TYPE: "timeout"}),
            0.0,
            "failed_attempt",
        ),
        (
            traced([], attempt=[("upstream", 0.0, 5.0), ("worker.queue", 0.0, 4.0)], total_s=5.0, told=PREDICTED),
            0.0,
            "worker",
        ),
        (traced([("auth", 0.0, 0.1)], total_s=5.0), 0.0, "other"),
    ],
)
def test_what_took_longest_beyond_what_was_expected_is_blamed(
    spans: list[KeptSpan], client_wait_s: float, cause: str
) -> None:
    assert blame(spans, client_wait_s=client_wait_s).cause == cause


def test_where_all_went_as_expected_the_longest_part_is_named() -> None:
    spans = traced([], attempt=[("first_token", 0.0, 0.2), ("generate", 0.2, 1.8)], total_s=2.0, told=PREDICTED)
    found = blame(spans)
    assert (found.cause, found.seconds) == ("generate", pytest.approx(1.8))


stages = st.sampled_from(sorted(STAGES))
own = st.sampled_from(sorted(STAGES.keys() - {"upstream"}))  # Whole answers are waited for in attempts only.
seconds = st.floats(0, 100)


@given(st.lists(st.tuples(own, seconds), max_size=6), st.lists(st.tuples(stages, seconds), max_size=4), seconds)
def test_what_is_blamed_is_listed_and_took_no_longer_than_everything(
    parts: list[tuple[str, float]], tried: list[tuple[str, float]], client_wait_s: float
) -> None:
    at_s, placed, inside = 0.0, [], []
    for target, source in ((placed, parts), (inside, tried)):
        for name, took_s in source:
            target.append((name, at_s, took_s))
            at_s += took_s
    found = blame(traced(placed, attempt=inside, total_s=at_s), client_wait_s=client_wait_s)
    assert found.cause in CAUSES
    assert -1e-9 <= found.seconds <= at_s + 1e-6
