from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import pytest

from gateway.api.event_stream import ClientDisconnectedError, EventStreamResponse, until_disconnect


class Caller:
    """The server's side of a connection: what was sent, and when the caller leaves."""

    def __init__(self, *, full: bool = False) -> None:
        self.sent: list[Any] = []
        self.left = asyncio.Event()
        self._full = full

    async def receive(self) -> Any:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        if self._full and message["type"] == "http.response.body":
            await asyncio.Event().wait()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


class Source:
    """A generator that tells whether it was closed, suspended for ever after its items."""

    def __init__(self, *items: bytes, then: str = "wait") -> None:
        self.closed = False
        self._items, self._then = items, then

    async def start(self) -> AsyncGenerator[bytes, None]:
        events = self._run()
        await anext(events)
        return events

    async def _run(self) -> AsyncGenerator[bytes, None]:
        try:
            yield b""
            for item in self._items:
                yield item
            if self._then == "wait":
                await asyncio.Event().wait()
            elif self._then == "raise":
                raise RuntimeError("broken")
        finally:
            self.closed = True


async def respond(source: Source, caller: Caller) -> None:
    response = EventStreamResponse(await source.start(), headers={"X-Trilemma-Variant": "a"})
    await response.to_asgi_response()({"type": "http"}, caller.receive, caller.send)  # type: ignore[arg-type, typeddict-item]


async def until(condition: Any) -> None:
    async with asyncio.timeout(2):
        while not condition():
            await asyncio.sleep(0)


async def test_a_stream_is_sent_whole_and_ended() -> None:
    source, caller = Source(b"a", b"", b"b", then="end"), Caller()
    await respond(source, caller)
    assert caller.body == b"ab"
    assert [message.get("more_body") for message in caller.sent] == [None, True, True, False]
    assert dict(caller.sent[0]["headers"])[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert dict(caller.sent[0]["headers"])[b"x-trilemma-variant"] == b"a"
    assert source.closed


@pytest.mark.parametrize("full", [False, True], ids=["waiting_for_a_token", "waiting_for_the_caller"])
async def test_the_generator_is_closed_when_the_caller_leaves(full: bool) -> None:
    source, caller = Source(b"a"), Caller(full=full)
    responding = asyncio.create_task(respond(source, caller))
    await until(lambda: caller.body == b"a")
    caller.left.set()
    await responding
    assert source.closed
    assert caller.sent[-1]["body"] == b"a"


async def test_the_generator_is_closed_when_the_server_cancels() -> None:
    source, caller = Source(b"a"), Caller()
    responding = asyncio.create_task(respond(source, caller))
    await until(lambda: caller.body == b"a")
    responding.cancel()
    with suppress(asyncio.CancelledError):
        await responding
    assert responding.cancelled()
    assert source.closed


async def test_the_generator_is_closed_when_the_head_cannot_be_sent() -> None:
    source = Source(b"a")

    async def send(_: Any) -> None:
        raise OSError("gone")

    response = EventStreamResponse(await source.start(), headers={})
    with pytest.raises(OSError, match="gone"):
        await response.to_asgi_response()({"type": "http"}, Caller().receive, send)  # type: ignore[arg-type, typeddict-item]
    assert source.closed


async def test_a_failing_generator_is_not_ended_as_if_it_were_whole() -> None:
    source, caller = Source(b"a", then="raise"), Caller()
    with pytest.raises(RuntimeError, match="broken"):
        await respond(source, caller)
    assert caller.sent[-1]["more_body"]


async def test_work_that_ends_first_gives_its_result() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 3

    assert await until_disconnect(Caller().receive, work()) == 3


async def test_work_that_fails_gives_its_error() -> None:
    async def work() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await until_disconnect(Caller().receive, work())


async def test_work_is_cancelled_and_has_finished_when_the_caller_has_left() -> None:
    caller, steps = Caller(), []

    async def work() -> None:
        try:
            steps.append("begun")
            caller.left.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned up")

    with pytest.raises(ClientDisconnectedError):
        await until_disconnect(caller.receive, work())
    assert steps == ["begun", "cleaned up"]
    assert asyncio.all_tasks() == {asyncio.current_task()}
