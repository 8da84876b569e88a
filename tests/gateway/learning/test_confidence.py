from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.learning.confidence import Confidence
from tests.gateways import HELLO, remote, running
from tests.providers import Answer, ScriptedProvider, completion_body

LOGPROBS = st.lists(st.floats(min_value=-50, max_value=0), min_size=1, max_size=20)


def confidence(*events: dict[str, Any]) -> float | None:
    found = Confidence()
    for event in events:
        found.add(event)
    return found.value


def chat(*logprobs: float | None) -> dict[str, Any]:
    return {"choices": [{"logprobs": {"content": [{"token": "x", "logprob": value} for value in logprobs]}}]}


def text(*logprobs: float | None) -> dict[str, Any]:
    return {"choices": [{"text": "x", "logprobs": {"tokens": [], "token_logprobs": list(logprobs)}}]}


@given(LOGPROBS)
def test_confidence_is_the_geometric_mean_of_the_tokens_probabilities_on_both_routes(values: list[float]) -> None:
    expected = pytest.approx(math.exp(math.fsum(values) / len(values)))
    assert confidence(chat(*values)) == confidence(text(*values)) == expected


@given(LOGPROBS, st.integers(0, 20))
def test_a_stream_gives_what_the_whole_answer_gives(values: list[float], at: int) -> None:
    assert confidence(chat(*values[:at]), chat(*values[at:])) == pytest.approx(confidence(chat(*values)))


@pytest.mark.parametrize(
    "logprobs",
    [None, {}, [], {"content": None}, {"content": "no"}, {"content": [None, {"logprob": "x"}]}, {"content": [{}]},
     {"token_logprobs": [None]}],
)  # fmt: skip
def test_what_is_no_log_probability_counts_for_nothing(logprobs: Any) -> None:
    assert confidence({"choices": [{"logprobs": logprobs}, {}]}) is None


async def test_the_outcome_keeps_the_confidence_of_the_attempt_that_answered(tmp_path: Path) -> None:
    sure = json.loads(completion_body("Paris"))
    sure["choices"][0] |= chat(-0.25, -0.75)["choices"][0]
    doubtful = json.loads(completion_body("Rome"))
    doubtful["choices"][0] |= {"finish_reason": None} | chat(-9.0)["choices"][0]
    script = [Answer(body=json.dumps(body).encode()) for body in (doubtful, sure)]
    async with ScriptedProvider(*script) as provider:
        better, worse = remote("better", provider, quality=0.9), remote("worse", provider, quality=0.1)
        async with running(tmp_path, better, worse) as gateway:
            response, _ = await gateway.post("/v1/chat/completions", HELLO)
            outcome = (await gateway.record(response.headers["x-trilemma-decision"]))["outcome"]
            assert len(outcome["attempts"]) == 2
            assert outcome["confidence"] == pytest.approx(math.exp(-0.5))
