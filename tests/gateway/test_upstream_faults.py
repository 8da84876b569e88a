"""Every fault of a variant's server ends as the table of docs/reliability-upstream.md says, within its bound."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import openai
import pytest
import pytest_asyncio

from tests.gateways import HELLO, USAGE_EVENT, RunningGateway, remote, running
from tests.providers import Answer, ScriptedProvider, chat_events, completion_body

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLE = Path(__file__).parents[2] / "docs" / "reliability-upstream.md"
Pair = tuple[RunningGateway, list[ScriptedProvider]]
Script = tuple[Answer, ...]
Kind = Literal["whole", "streamed"]

WHOLE = Answer(body=completion_body("Paris"))
STREAM = Answer(events=[*chat_events("Par", "is"), USAGE_EVENT])
HALF = completion_body("Paris")[:40]
BEGUN = chat_events("Par", finish=None)
SERVER = {"request_timeout_s": 1.4}
CALLS = {
    "backoff_s": 0.02,
    "patience_factor": 1.0,
    "least_patience_s": 0.6,
    "first_token_timeout_s": 1.0,
    "stall_factor": 1.0,
    "least_stall_s": 0.3,
}


def refused(status: int, *, code: str | None = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps({"error": {"message": "no", "code": code}}).encode()
    return Answer(status=status, headers=named, body=body)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What `v0` does, and how soon it must be over."""

    whole: Script = ()
    streamed: Script = ()
    within_s: float = 3.0
    asks: dict[str, Any] = field(default_factory=dict)


def once(answer: Answer, *, within_s: float = 3.0) -> Fault:
    return Fault(whole=(answer, WHOLE), streamed=(answer, STREAM), within_s=within_s)


def always(answer: Answer, **fields: Any) -> Fault:
    return Fault(whole=(answer,), streamed=(answer,), **fields)


FAULTS = {
    "429 with `Retry-After: 1`, once": once(refused(429, Retry_After="1"), within_s=4.0),
    "429 with `Retry-After: 60`": always(refused(429, Retry_After="60")),
    "429 without `Retry-After`, once": once(refused(429)),
    "429 without `Retry-After`, always": always(refused(429)),
    "500, once": once(refused(500)),
    "503, always": always(refused(503)),
    "reset before the headers": always(Answer(refuses="reset")),
    "silence": always(Answer(first_after_s=30.0), within_s=4.0),
    "silence after the headers": Fault(
        whole=(Answer(events=[b" "], ending="stall"),),
        streamed=(Answer(events=chat_events(finish=None), ending="stall"),),
        within_s=4.0,
    ),
    "slow first token": Fault(
        whole=(Answer(first_after_s=0.25, body=completion_body("Paris")),),
        streamed=(Answer(first_after_s=0.25, events=STREAM.events),),
    ),
    "first token later than the request's limit": Fault(
        whole=(Answer(first_after_s=0.3, body=completion_body("Paris")),),
        streamed=(Answer(first_after_s=0.3, events=STREAM.events),),
        asks={"slo": {"ttft_s": 0.15}},
    ),
    "cut in the middle of the answer": Fault(
        whole=(Answer(events=[HALF], ending="cut"),), streamed=(Answer(events=BEGUN, ending="cut"),)
    ),
    "stall in the middle of the answer": Fault(
        whole=(Answer(events=[HALF], ending="stall"),),
        streamed=(Answer(events=BEGUN, ending="stall"),),
        within_s=4.0,
    ),
    "malformed answer or first event": Fault(
        whole=(Answer(body=b"{oops"),), streamed=(Answer(events=[b"data: {oops\n\n"]),)
    ),
    "malformed later event": Fault(streamed=(Answer(events=[*BEGUN, b"data: {oops\n\n"]),)),
    "no `[DONE]` after the last event": Fault(streamed=(Answer(events=STREAM.events, ending="no_done"),)),
    "context too long for `v0`": always(refused(400, code="context_length_exceeded")),
    "refusal of the content, as an error": always(refused(400, code="content_filter")),
    "refusal of the content, as a finish reason": Fault(
        whole=(Answer(body=completion_body("").replace(b'"stop"', b'"content_filter"')),),
        streamed=(Answer(events=[*chat_events(finish="content_filter"), USAGE_EVENT]),),
    ),
}


def stated() -> list[tuple[str, Kind, str, str, str]]:
    """The cells of the table: fault, kind of request, model asked for, what the caller gets, the attempts."""
    columns: list[tuple[Kind, str]] = [("whole", "v0"), ("streamed", "v0"), ("whole", "auto"), ("streamed", "auto")]
    rows = [line.strip("| ").split(" | ") for line in TABLE.read_text().splitlines() if line.startswith("| ")][1:]
    return [
        (fault, kind, model, *cell.split(": ", maxsplit=1))
        for fault, *cells in rows
        for (kind, model), cell in zip(columns, cells, strict=True)
        if cell != "—"
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    policy = {"epsilon": 0.0, "priorities": {"balanced": {"accuracy": 1}}}
    async with ScriptedProvider(WHOLE) as first, ScriptedProvider(WHOLE) as second:
        variants = remote("v0", first, quality=0.9), remote("v1", second, context_tokens=131_072)
        directory = tmp_path_factory.mktemp("faults")
        async with running(directory, *variants, policy=policy, calls=CALLS, server=SERVER) as gateway:
            yield gateway, [first, second]


async def ask(gateway: RunningGateway, kind: Kind, model: str, asks: dict[str, Any]) -> tuple[str, Any]:
    """What the official client makes of the answer, in the words of the table, and the headers it came with."""
    create = gateway.client.chat.completions.with_raw_response.create
    try:
        raw = await create(model=model, messages=HELLO["messages"], stream=kind == "streamed", extra_body=asks)
    except openai.APIStatusError as error:
        body: Any = error.body
        said = body["code"] if error.status_code == 400 else body["type"]
        return f"{error.status_code} {said}", error.response.headers
    reply: Any = raw.parse()
    if kind == "whole":
        assert reply.choices[0].finish_reason is not None
        return "answer", raw.headers
    try:
        chunks = [chunk async for chunk in reply]
    except openai.APIError as error:
        body = error.body
        return f"breaks off {body['type']}", raw.headers
    assert any(choice.finish_reason for chunk in chunks for choice in chunk.choices)
    return "answer", raw.headers


async def test_the_table_and_the_faults_are_the_same() -> None:
    assert {fault for fault, *_ in stated()} == set(FAULTS)


@pytest.mark.parametrize(("fault", "kind", "model", "result", "attempts"), stated())
async def test_a_fault_ends_as_stated(
    pair: Pair, fault: str, kind: Kind, model: str, result: str, attempts: str
) -> None:
    gateway, providers = pair
    gateway.services.catalogue.health.forget("v0")
    case = FAULTS[fault]
    providers[0].script = list(getattr(case, kind))
    providers[1].script = [WHOLE if kind == "whole" else STREAM]
    began_s = time.monotonic()
    seen, headers = await ask(gateway, kind, model, case.asks)
    assert time.monotonic() - began_s < case.within_s
    assert seen == result
    outcome = (await gateway.record(headers["x-trilemma-decision"]))["outcome"]
    tried = [f"{a['variant']} {a['error_type'] or ''}".strip() for a in outcome["attempts"]]
    assert " → ".join(tried) == attempts
    assert outcome["ending"] == ("done" if result == "answer" else "failed")
    assert outcome["cost_usd"] == pytest.approx(sum(a["cost_usd"] for a in outcome["attempts"]))
    if result == "answer":
        assert outcome["variant"] == tried[-1] == headers["x-trilemma-variant"]
        assert outcome["attempts"][-1]["cost_usd"] > 0
    if fault == "429 with `Retry-After: 60`" and model == "v0":
        assert headers["retry-after"] == "60"
