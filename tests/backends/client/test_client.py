from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from backends import errors
from backends.client import Endpoint, Timeouts, VariantClient
from tests.providers import Answer, ScriptedProvider, chat_events, completion_body

CHAT = "/v1/chat/completions"
PATIENT = Timeouts(connect_s=5.0, first_s=15.0, idle_s=15.0, total_s=18.0)
IMPATIENT = Timeouts(connect_s=5.0, first_s=0.3, idle_s=0.3, total_s=15.0)


@asynccontextmanager
async def serving(
    *script: Answer, key: str | None = None, timeouts: Timeouts = PATIENT
) -> AsyncIterator[tuple[ScriptedProvider, VariantClient]]:
    async with ScriptedProvider(*script) as provider:
        client = VariantClient(Endpoint(base_url=provider.base_url, api_key=key), timeouts=timeouts)
        try:
            yield provider, client
        finally:
            await client.aclose(grace_s=1)


async def until(condition: Callable[[], bool], *, within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


async def read(client: VariantClient, **options: int) -> list[bytes]:
    async with await client.stream(CHAT, b"{}", **options) as stream:
        return [data async for data in stream]


async def test_an_answer_comes_back_byte_for_byte() -> None:
    body = completion_body("Paris é")
    async with serving(Answer(body=body)) as (provider, client):
        assert await client.request(CHAT, b'{"a": 1}') == body
        assert provider.requests[0].path == CHAT
        assert provider.requests[0].body == b'{"a": 1}'


async def test_a_base_url_with_or_without_v1_reaches_the_same_path() -> None:
    async with ScriptedProvider(Answer(body=b"{}")) as provider:
        for suffix in ("", "/", "/v1", "/v1/"):
            client = VariantClient(Endpoint(base_url=provider.base_url + suffix))
            await client.request("/v1/models")
            await client.aclose()
        assert {request.path for request in provider.requests} == {"/v1/models"}


async def test_a_worker_on_a_unix_socket_is_a_server_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "w.sock"
    load = b'{"state": "warm", "queued": 2, "running": 1, "max_running": 16, "new_field": 1}'
    async with ScriptedProvider(Answer(body=load), socket_path=path):
        client = VariantClient(Endpoint(socket_path=str(path)))
        report = await client.load()
        await client.aclose()
    assert (report.state, report.queued, report.running) == ("warm", 2, 1)


async def test_a_stream_yields_its_events_and_its_finish_reason() -> None:
    events = chat_events("Par", "is")
    async with serving(Answer(events=[b": hi\n\n", *events])) as (_, client):
        stream = await client.stream(CHAT, b"{}")
        assert [b"data: %s\n\n" % data async for data in stream] == events
        assert stream.complete
        assert stream.saw_done
        assert stream.finish_reasons == {0: "stop"}
        assert [data async for data in stream] == []


async def test_connections_are_reused_after_whole_answers() -> None:
    script = (Answer(events=chat_events("a")), Answer(body=completion_body("b")), Answer(events=chat_events("c")))
    async with serving(*script) as (provider, client):
        for _ in range(5):
            await read(client) if len(provider.requests) != 1 else await client.request(CHAT, b"{}")
            await asyncio.sleep(0.02)
        assert {request.connection for request in provider.requests} == {0}


async def test_a_stream_without_done_is_complete_once_every_choice_has_finished() -> None:
    async with serving(Answer(events=chat_events("a"), ending="no_done")) as (_, client):
        assert len(await read(client)) == 3
        with pytest.raises(errors.ConnectionLostError):
            await read(client, choices=2)


async def test_a_cut_after_the_finish_reason_still_leaves_a_whole_answer() -> None:
    async with serving(Answer(events=chat_events("a"), ending="cut")) as (_, client):
        assert len(await read(client)) == 3


@pytest.mark.parametrize("ending", ["cut", "no_done"])
async def test_a_stream_that_ends_early_never_looks_complete(ending: str) -> None:
    got: list[bytes] = []
    async with serving(Answer(events=chat_events("a", "b", finish=None), ending=ending)) as (_, client):
        stream = await client.stream(CHAT, b"{}")
        with pytest.raises(errors.ConnectionLostError):
            [got.append(data) async for data in stream]
        assert len(got) == 3
        assert not stream.complete
        assert client.in_flight == 0


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(refuses="reset"), errors.ConnectionLostError),
        (Answer(refuses="garbage"), errors.ProtocolError),
        (Answer(body=b"<html>"), errors.ProtocolError),
        (Answer(body=b"[]"), errors.ProtocolError),
        (Answer(body=b'{"a": \xff}'), errors.ProtocolError),
        (Answer(body=b'{"error": {"message": "no", "code": 503}}'), errors.OverloadedError),
        (Answer(status=302, headers={"Location": "/x"}, body=b""), errors.ProtocolError),
    ],
)
async def test_every_unusable_answer_has_its_error(answer: Answer, expected: type[Exception]) -> None:
    async with serving(answer) as (_, client):
        with pytest.raises(expected):
            await client.request(CHAT, b"{}")
        assert client.in_flight == 0


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (b"data: {oops\n\n", errors.ProtocolError),
        (b'data: {"choices": 3}\n\n', errors.ProtocolError),
        (b'data: {"error": {"message": "engine died", "type": "server_error"}}\n\n', errors.UpstreamServerError),
        (b'data: {"error": "plain words"}\n\n', errors.UpstreamServerError),
        (b'data: {"error": {"message": "x", "code": "context_length_exceeded"}}\n\n', errors.ContextLengthError),
        (b'data: {"error": {"message": "x", "code": 429}}\n\n', errors.RateLimitedError),
    ],
)
async def test_a_bad_event_ends_the_stream_with_its_error(event: bytes, expected: type[Exception]) -> None:
    answer = Answer(events=[*chat_events("a", finish=None), event, *chat_events("b")], every_s=0.01)
    async with serving(answer) as (provider, client):
        with pytest.raises(expected):
            await read(client)
        await until(lambda: provider.left == 1)


async def test_nobody_listening_is_a_connect_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for endpoint in (
        Endpoint(base_url=f"http://127.0.0.1:{port}"),
        Endpoint(socket_path=str(tmp_path / "none.sock")),
        Endpoint(base_url="ftp://127.0.0.1"),
    ):
        client = VariantClient(endpoint)
        with pytest.raises(errors.ConnectError):
            await client.request(CHAT, b"{}")
        await client.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(first_after_s=10, events=chat_events("a")),
        Answer(events=chat_events("a", finish=None), ending="stall"),
        Answer(events=[b": still here\n\n"] * 200, every_s=0.05),
    ],
    ids=["slow_first", "stall", "only_comments"],
)
async def test_silence_runs_into_its_timeout(answer: Answer) -> None:
    async with serving(answer, timeouts=IMPATIENT) as (_, client):
        started = time.monotonic()
        with pytest.raises(errors.UpstreamTimeoutError):
            await read(client)
        assert time.monotonic() - started < 4


async def test_a_steady_stream_outlives_the_idle_limit_but_not_the_total() -> None:
    answer = Answer(events=chat_events(*"abcdefghij"), every_s=0.15)
    async with serving(answer, timeouts=Timeouts(idle_s=1.2)) as (_, client):
        assert len(await read(client)) == 12
        with pytest.raises(errors.UpstreamTimeoutError, match=r"after 0\.6 s"):
            async with await client.stream(CHAT, b"{}", timeouts=Timeouts(total_s=0.6)) as stream:
                [data async for data in stream]


async def test_a_reader_that_pauses_is_not_taken_for_a_server_that_is_silent() -> None:
    wide = ["x" * 600_000] * 4
    async with (
        serving(Answer(events=chat_events(*wide)), timeouts=IMPATIENT) as (_, client),
        await client.stream(CHAT, b"{}") as stream,
    ):
        assert await anext(stream)
        read = 1
        while not stream.complete:
            await asyncio.sleep(0.4)
            await anext(stream)
            read += 1
        assert read == 6


async def leave_by_break(client: VariantClient) -> None:
    async with await client.stream(CHAT, b"{}") as stream:
        async for _ in stream:
            break


async def leave_by_cancellation(client: VariantClient) -> None:
    stream = await client.stream(CHAT, b"{}")
    reading = asyncio.ensure_future(anext(stream))
    await reading
    reading = asyncio.ensure_future(_exhaust(stream))
    await asyncio.sleep(0.05)
    reading.cancel()
    await asyncio.wait([reading])


async def _exhaust(stream: AsyncIterator[bytes]) -> None:
    async for _ in stream:
        pass


async def leave_by_aclose(client: VariantClient) -> None:
    stream = await client.stream(CHAT, b"{}")
    await stream.aclose()
    await stream.aclose()


@pytest.mark.parametrize("leave", [leave_by_break, leave_by_cancellation, leave_by_aclose])
async def test_leaving_a_stream_tells_the_server_at_once(leave: Callable[[VariantClient], Awaitable[None]]) -> None:
    async with serving(Answer(events=chat_events(*"x" * 1000), every_s=0.01)) as (provider, client):
        await leave(client)
        await until(lambda: provider.left == 1, within_s=3)
        assert client.in_flight == 0


async def test_cancelling_a_call_that_waits_for_its_answer_frees_it() -> None:
    async with serving(Answer(first_after_s=5, body=b"{}")) as (_, client):
        for call in (client.request(CHAT, b"{}"), client.stream(CHAT, b"{}", timeouts=Timeouts())):
            task = asyncio.ensure_future(call)
            await until(lambda: client.in_flight == 1)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert client.in_flight == 0


async def test_closing_waits_for_the_requests_in_flight() -> None:
    async with serving(Answer(events=chat_events("a", "b", "c"), every_s=0.05)) as (_, client):
        stream = await client.stream(CHAT, b"{}")
        closing = asyncio.ensure_future(client.aclose())
        assert len([data async for data in stream]) == 5
        await closing
        with pytest.raises(errors.ConnectError):
            await client.request(CHAT, b"{}")


async def test_closing_with_a_grace_cuts_what_outlasts_it() -> None:
    async with serving(Answer(events=chat_events("a", finish=None), ending="stall")) as (provider, client):
        stream = await client.stream(CHAT, b"{}", timeouts=Timeouts())
        await client.aclose(grace_s=0.05)
        with pytest.raises(errors.ConnectionLostError):
            await _exhaust(stream)
        await until(lambda: provider.left == 1)


async def test_only_allowed_headers_of_a_caller_pass_through() -> None:
    async with serving(Answer(body=b"{}"), key="sk-1") as (provider, client):
        await client.request(
            CHAT, b"{}", headers={"Traceparent": "00-1", "Authorization": "Bearer caller", "X-Y": "1"}
        )
        sent = {name.lower(): value for name, value in provider.requests[0].headers.items()}
        assert sent["traceparent"] == "00-1"
        assert sent["authorization"] == "Bearer sk-1"
        assert "x-y" not in sent


async def test_the_key_never_reaches_a_message_or_a_repr() -> None:
    key = "sk-canary-123"
    echo = Answer(status=401, body=b'{"error": {"message": "Incorrect API key: sk-canary-123"}}')
    event = Answer(events=[b'data: {"error": {"message": "key sk-canary-123"}}\n\n'])
    async with serving(echo, event, Answer(refuses="garbage"), key=key) as (_, client):
        for call in (client.request(CHAT, b"{}"), read(client), client.request(CHAT, b"{}")):
            with pytest.raises(errors.UpstreamError) as caught:
                await call
            assert key not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
        assert key not in repr(client.endpoint)


async def test_many_streams_at_once_all_end_right() -> None:
    async with serving(Answer(events=chat_events(*"abcdefgh"), every_s=0.002)) as (provider, client):
        answers = await asyncio.gather(*(read(client) for _ in range(64)))
        assert {len(answer) for answer in answers} == {10}
        assert len(provider.requests) == 64
