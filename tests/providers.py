"""A real OpenAI-style server on the loopback whose answers a test scripts, failures included.

Each request takes the next answer of the script; the last one repeats. What arrived is kept in `requests`, and
`left` counts the streams whose client went away before their end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from aiohttp import web

__all__ = ("Answer", "Received", "ScriptedProvider", "chat_events", "completion_body")

Ending = Literal["done", "no_done", "cut", "stall"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One scripted answer: a body, or the events of a stream."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    events: Sequence[bytes] = ()
    first_after_s: float = 0.0
    """Wait before anything is sent."""
    every_s: float = 0.0
    """Wait before each event after the first."""
    ending: Ending = "done"
    """After the events: `[DONE]`, a clean end without it, a cut connection, or silence."""
    refuses: Literal["no", "reset", "garbage"] = "no"
    """Instead of an answer: reset the connection, or send what is not HTTP."""


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    """Identity of the connection it came on."""


class ScriptedProvider:
    """The server; use it as an async context manager."""

    def __init__(self, *script: Answer, socket_path: Path | None = None) -> None:
        self.script = list(script)
        self.requests: list[Received] = []
        self.left = 0
        self.base_url = "http://worker"
        self._socket_path = socket_path
        self._connections: list[asyncio.Transport | None] = []
        self._stopping = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        if self._socket_path is not None:
            await web.UnixSite(self._runner, str(self._socket_path)).start()
            return self
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._stopping.set()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.transport not in self._connections:
            self._connections.append(request.transport)
        self.requests.append(
            Received(
                path=request.path,
                headers=dict(request.headers),
                body=await request.read(),
                connection=self._connections.index(request.transport),
            )
        )
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        await asyncio.sleep(answer.first_after_s)
        if answer.refuses != "no":
            return self._refuse(request, answer)
        if answer.body is not None:
            return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
        try:
            return await self._stream(request, answer)
        except (asyncio.CancelledError, ConnectionError):
            self.left += 1
            raise

    def _refuse(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        assert request.transport is not None
        if answer.refuses == "garbage":
            request.transport.write(b"\x16\x03\x01 not http\r\n\r\n")
            request.transport.close()
        request.transport.abort() if answer.refuses == "reset" else None
        return web.Response()

    async def _stream(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(
            status=answer.status, headers={"Content-Type": "text/event-stream", **answer.headers}
        )
        await response.prepare(request)
        for number, event in enumerate(answer.events):
            await asyncio.sleep(answer.every_s if number else 0)
            await response.write(event)
        if answer.ending == "stall":
            await self._stopping.wait()
        elif answer.ending == "cut":
            assert request.transport is not None
            request.transport.close()
        elif answer.ending == "done":
            await response.write(b"data: [DONE]\n\n")
        return response


def chat_events(*pieces: str, finish: str | None = "stop", index: int = 0) -> list[bytes]:
    """The encoded events of a chat answer that arrives in these pieces."""
    deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant"}, None)]
    deltas += [({"content": piece}, None) for piece in pieces]
    deltas += [({}, finish)] if finish else []
    return [
        b"data: %s\n\n"
        % json.dumps(
            {
                "id": "chat-1",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "scripted",
                "choices": [{"index": index, "delta": delta, "finish_reason": reason}],
            }
        ).encode()
        for delta, reason in deltas
    ]


def completion_body(text: str) -> bytes:
    """A whole chat answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    return json.dumps(
        {
            "id": "chat-1",
            "object": "chat.completion",
            "created": 1,
            "model": "scripted",
            "choices": [choice],
            "usage": usage,
        }
    ).encode()
