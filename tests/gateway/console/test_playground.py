"""The playground: questions are requests like any other, and only pages of ours may ask them."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.console.playground import columns, parse_question, question_from
from gateway.errors import InvalidRequestError
from gateway.telemetry import names
from tests.gateways import USAGE_EVENT, Fleet, RunningGateway, events_of, local, remote, running, until
from tests.providers import Answer, ScriptedProvider, chat_events
from tests.trace_rows import span, trace

HELLO = Answer(events=[*chat_events("Hel", "lo"), USAGE_EVENT])


async def opened(gateway: RunningGateway) -> dict[str, str]:
    """What a browser with the page open sends along with each question."""
    async with gateway.session.get(f"{gateway.url}/console/playground", headers={"Accept": "text/html"}) as response:
        found = re.search(r'data-csrf="([0-9a-f]+)"', await response.text())
    assert found is not None
    cookie = response.headers["set-cookie"].partition(";")[0]
    return {"X_CSRF_Token": found[1], "Cookie": cookie}


def asking(gateway: RunningGateway, body: dict[str, Any], **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return gateway.session.post(f"{gateway.url}/console/playground/answers", data=json.dumps(body), headers=named)


async def test_a_question_is_streamed_explained_and_logged_as_a_request(tmp_path: Path) -> None:
    async with ScriptedProvider(HELLO) as provider, running(tmp_path, remote("v0", provider)) as gateway:
        page = await opened(gateway)
        async with asking(gateway, {"prompt": "hi", "hint": "speed"}, **page) as response:
            assert response.status == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            events = events_of(await response.read())
            decision = response.headers["x-trilemma-decision"]
        assert "".join(event["choices"][0]["delta"].get("content", "") for event in events[:-2]) == "Hello"
        assert events[-2]["usage"]["completion_tokens"] == 5
        assert [candidate["variant"] for candidate in events[-2]["trilemma"]["candidates"]] == ["v0"]
        record = await gateway.record(decision)
        assert record["decision"]["hint"] == "speed"
        assert record["decision"]["tags"] == {"source": "console-playground"}


async def test_an_answer_of_the_playground_can_be_opened_as_a_request(tmp_path: Path) -> None:
    kept = {"telemetry": {"traces": {"sample": 1.0}}}
    async with ScriptedProvider(HELLO) as provider, running(tmp_path, remote("v0", provider), **kept) as gateway:
        page = await opened(gateway)
        async with asking(gateway, {"prompt": "hi"}, **page) as response:
            await response.read()
            address = f"{gateway.url}/console/requests/{response.headers['x-trilemma-decision']}"
        await until(lambda: gateway.services.tracing.stats.kept["sampled"] == 1)
        await gateway.reported()
        async with gateway.session.get(address) as response:
            assert response.status == 200, await response.text()


@pytest.mark.parametrize(
    "forged",
    [
        {"X_CSRF_Token": "0" * 64},
        {"Cookie": "trilemma-console=" + "A" * 43},
        {"Cookie": ""},
        {"Sec_Fetch_Site": "cross-site"},
        {"Origin": "http://evil.example"},
    ],
)
async def test_a_forged_question_asks_nobody(tmp_path: Path, forged: dict[str, str]) -> None:
    async with ScriptedProvider(HELLO) as provider, running(tmp_path, remote("v0", provider)) as gateway:
        page = await opened(gateway)
        async with asking(gateway, {"prompt": "hi"}, **(page | forged)) as response:
            assert response.status in {401, 403}
        assert provider.requests == []
        async with asking(gateway, {"prompt": "hi"}, **page) as response:
            assert response.status == 200


async def test_a_question_that_is_none_is_refused_by_the_name_of_its_field(tmp_path: Path) -> None:
    async with ScriptedProvider(HELLO) as provider, running(tmp_path, remote("v0", provider)) as gateway:
        page = await opened(gateway)
        async with asking(gateway, {"prompt": "hi", "temperature": 9}, **page) as response:
            assert response.status == 400
            assert (await response.json())["error"]["param"] == "temperature"


async def test_whoever_leaves_stops_the_variant(tmp_path: Path) -> None:
    slow = Answer(events=chat_events(*["word "] * 200), every_s=0.05)
    async with ScriptedProvider(slow) as provider, running(tmp_path, remote("v0", provider)) as gateway:
        page = await opened(gateway)
        async with asking(gateway, {"prompt": "hi"}, **page) as response:
            await response.content.readany()
            response.close()
        await until(lambda: provider.left == 1)


async def test_several_are_answered_at_the_same_time(tmp_path: Path) -> None:
    slow = Answer(events=[*chat_events("Hel", "lo"), USAGE_EVENT], first_after_s=0.2)
    async with (
        ScriptedProvider(slow) as one,
        ScriptedProvider(slow) as two,
        running(tmp_path, remote("v0", one), remote("v1", two)) as gateway,
    ):
        page = await opened(gateway)

        async def ask(model: str) -> str:
            async with asking(gateway, {"prompt": "hi", "model": model}, **page) as response:
                await response.read()
                return str(response.headers["x-trilemma-variant"])

        asked = [asyncio.create_task(ask(model)) for model in ("v0", "v1")]
        await until(lambda: len(one.requests) == len(two.requests) == 1)
        assert await asyncio.gather(*asked) == ["v0", "v1"]


async def test_the_page_says_what_to_do_without_scripts_and_how_each_variant_stands(tmp_path: Path) -> None:
    async with running(tmp_path, local("quantized"), fleet=Fleet()) as gateway:
        async with gateway.session.get(f"{gateway.url}/console/playground") as response:
            page = await response.text()
        assert 'id="needs-script"' in page
        assert "needs JavaScript" in page
        async with gateway.session.get(f"{gateway.url}/console/playground/variants") as response:
            told = await response.json()
        assert [column["model"] for column in told] == ["auto", "quantized"]
        assert columns(gateway.services.catalogue.views())[1].note in page


async def test_a_replay_brings_the_prompt_only_where_it_was_kept(tmp_path: Path) -> None:
    root = span("request", 0.0, 3.0, under=None, **{names.PROMPT: "what <b>is</b> this?"})
    async with running(tmp_path, local("quantized")) as gateway:
        gateway.services.tracing.traces.record(trace(1, spans=(root,)))
        gateway.services.tracing.traces.record(trace(2))
        await gateway.reported()
        for number, expected in ((1, "what &lt;b&gt;is&lt;/b&gt; this?</textarea>"), (2, "></textarea>")):
            address = f"{gateway.url}/console/playground?from={number:016x}&hint=cost&max_tokens=7"
            async with gateway.session.get(address) as response:
                page = await response.text()
            assert expected in page
            assert "<option selected>cost</option>" in page
            assert 'value="7"' in page


def test_values_of_an_address_that_will_not_do_are_left_out() -> None:
    found = question_from({"hint": "nonsense", "max_tokens": "many", "temperature": "0.5", "only": "v1"}, prompt=None)
    assert (found.hint, found.max_tokens, found.temperature, found.model) == (None, None, 0.5, "v1")


def test_a_question_without_a_prompt_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="prompt"):
        parse_question(b'{"prompt": ""}', {})
