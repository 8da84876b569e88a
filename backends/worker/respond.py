"""Sending answers, for as long as somebody listens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from http import HTTPStatus

import msgspec
from litestar.types import Receive, Scope, Send

from backends.worker.errors import RequestError
from backends.worker.parse import Plan
from backends.worker.service import Service, events, whole
from backends.worker.wire import Writer, error_reply

__all__ = ("Answer", "send_error", "send_json", "while_connected")

log = logging.getLogger(__name__)

_JSON = b"application/json"
_EVENT_STREAM = b"text/event-stream; charset=utf-8"


class Answer:
    """An ASGI response that generates while it is sent, and stops generating when the client has gone."""

    def __init__(self, service: Service, plan: Plan, make_writer: Callable[[Plan], Writer]) -> None:
        self._service = service
        self._plan = plan
        self._make_writer = make_writer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or be cancelled by a disconnect."""
        if any(name == b"traceparent" for name, _ in scope["headers"]):
            self._plan = msgspec.structs.replace(self._plan, traced=True)
        await while_connected(receive, self._answer(send))

    async def _answer(self, send: Send) -> None:
        try:
            async with self._service.answers(self._plan) as answers:
                writer = self._make_writer(self._plan)
                if not self._plan.stream:
                    await send_json(send, HTTPStatus.OK, await whole(answers, writer))
                    return
                await _start(send, HTTPStatus.OK, _EVENT_STREAM)
                async for event in events(answers, writer):
                    await send({"type": "http.response.body", "body": event, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except RequestError as error:
            await send_error(send, error)


async def while_connected(receive: Receive, answering: Coroutine[None, None, None]) -> None:
    """Run this until its end, or cancel it when the client has gone."""
    work = asyncio.create_task(answering)
    gone = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        work.cancel()
        await asyncio.wait({work, gone})
    if not work.cancelled():
        work.result()


async def send_error(send: Send, error: RequestError) -> None:
    """Answer with an error object."""
    await send_json(send, error.status, error_reply(error))


async def send_json(send: Send, status: int, body: bytes) -> None:
    """Answer with a body that is there as a whole."""
    await _start(send, status, _JSON)
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _start(send: Send, status: int, content_type: bytes) -> None:
    headers = [(b"content-type", content_type)]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
