"""A variant that fails is replaced while nothing has been sent, and never after that. One gateway for all cases."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.gateways import HELLO, RunningGateway, behind, events_of
from tests.providers import Answer, ScriptedProvider, chat_events, completion_body

pytestmark = pytest.mark.asyncio(loop_scope="module")

Pair = tuple[RunningGateway, list[ScriptedProvider]]

CHAT = "/v1/chat/completions"
STREAM = {**HELLO, "stream": True}
GOOD = Answer(body=completion_body("Paris"))
GOOD_STREAM = Answer(events=chat_events("Paris"))
RESET = Answer(refuses="reset")
TRUSTING = {"breaker_failures": 1000}
"""Every test here makes the same variant fail; its circuit stays closed all the same."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    directory = tmp_path_factory.mktemp("gateway")
    async with behind(directory, GOOD, GOOD, server={"idle_timeout_s": 0.2}, calls=TRUSTING) as pair:
        yield pair


@pytest.fixture
def pair(shared: Pair) -> Pair:
    """The gateway, and its two providers as if nothing had happened yet."""
    for provider in shared[1]:
        provider.requests.clear()
    return shared


@pytest.mark.parametrize(
    ("broken", "error_type"),
    [
        (RESET, "connection_lost"),
        (Answer(refuses="garbage"), "upstream_protocol"),
        (Answer(status=429, body=b"{}"), "upstream_rate_limited"),
        (Answer(status=503, body=b"{}"), "upstream_overloaded"),
        (Answer(status=500, body=b"oops"), "upstream_server_error"),
        (Answer(status=401, body=b"{}"), "upstream_authentication"),
        (Answer(status=404, body=b"{}"), "upstream_not_found"),
        (Answer(body=b"<html>"), "upstream_protocol"),
        (Answer(body=b'{"choices": []}'), "upstream_protocol"),
        (Answer(body=b'{"choices": [{"index": 0, "message": {"content": "Pa"}}]}'), "upstream_protocol"),
        (
            Answer(body=completion_body("x").replace(b'"prompt_tokens": 3', b'"prompt_tokens": null')),
            "upstream_protocol",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_failing_variant_is_replaced_by_another(pair: Pair, broken: Answer, error_type: str) -> None:
    gateway, providers = pair
    providers[0].script, providers[1].script = [broken], [GOOD]
    response, body = await gateway.post(CHAT, HELLO)
    assert (response.status, body["model"]) == (200, "v1")
    assert response.headers["x-trilemma-attempts"] == "2"
    record = await gateway.record(response.headers["x-trilemma-decision"])
    assert record["decision"]["choice"] == "v0"
    tried = [(attempt["variant"], attempt["error_type"]) for attempt in record["outcome"]["attempts"]]
    assert tried == [("v0", error_type), ("v1", None)]
    assert record["outcome"]["ending"] == "done"


@pytest.mark.parametrize(
    "broken",
    [
        RESET,
        Answer(events=[], ending="cut"),
        Answer(events=chat_events(finish=None), ending="cut"),
        Answer(events=[]),
        Answer(events=chat_events(finish=None)),
        Answer(events=[b"data: {oops\n\n"]),
        Answer(events=[b'data: {"choices": [{"index": 0, "delta": "text"}]}\n\n']),
        Answer(events=[b'data: {"error": {"message": "out of memory"}}\n\n']),
    ],
    ids=["reset", "cut", "cut_after_role", "empty", "only_a_role", "malformed", "odd_delta", "error_event"],
)
async def test_a_stream_that_fails_before_its_first_content_is_taken_over(pair: Pair, broken: Answer) -> None:
    gateway, providers = pair
    providers[0].script, providers[1].script = [broken], [GOOD_STREAM]
    events = await gateway.stream(CHAT, HELLO, X_Trilemma_Explain="1")
    assert [event["model"] for event in events[:-1]] == ["v1"] * (len(events) - 1)
    assert sum(bool(c["delta"].get("role")) for e in events[:-1] for c in e["choices"]) == 1
    assert len(events[-2]["trilemma"]["attempts"]) == 2
    assert events[-1] == "[DONE]"


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        (Answer(events=chat_events("Pa", finish=None), ending="cut"), "upstream_error"),
        (Answer(events=chat_events("Pa", finish=None), ending="no_done"), "upstream_error"),
        (Answer(events=chat_events("Pa", finish=None), ending="stall"), "timeout"),
        (Answer(events=[*chat_events("Pa", finish=None), b"data: {oops\n\n"]), "upstream_error"),
        (
            Answer(events=[*chat_events("Pa", finish=None), b'data: {"error": {"message": "x"}}\n\n']),
            "upstream_error",
        ),
    ],
    ids=["cut", "ended", "stalled", "malformed", "error_event"],
)
async def test_a_stream_that_breaks_off_ends_in_an_error_and_never_looks_whole(
    pair: Pair, broken: Answer, kind: str
) -> None:
    gateway, providers = pair
    providers[0].script = [broken]
    async with gateway.session.post(f"{gateway.url}{CHAT}", json=STREAM) as response:
        events = events_of(await response.read())
    assert "".join(c["delta"].get("content", "") for e in events[:-1] for c in e["choices"]) == "Pa"
    assert events[-1]["error"]["type"] == kind
    assert "[DONE]" not in events
    assert providers[1].requests == []
    outcome = (await gateway.record(response.headers["x-trilemma-decision"]))["outcome"]
    assert (outcome["ending"], outcome["error_type"]) == ("failed", kind)
    assert outcome["completion_tokens"] == 1
    assert outcome["cost_usd"] > 2e-6, "what was generated is paid for"
