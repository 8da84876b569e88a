"""An ASGI response that streams server-sent events and knows at once when the client has left.

The framework's own streaming response leaves a generator suspended when the client disconnects between two chunks;
here the generator is always closed before the response ends, so that its `finally` can free the slot.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from litestar import Response
from litestar.types import ASGIApp, Receive, Scope, Send

__all__ = ("ClientDisconnectedError", "EventStreamResponse", "until_disconnect")

T = TypeVar("T")


class ClientDisconnectedError(Exception):
    """The client closed the connection before its answer was ready."""


class EventStreamResponse(Response[bytes]):
    """Streams what `events` yields as `text/event-stream`, until it ends or the client leaves.

    Hand over a generator that has been started: closing one that has not runs none of it, its `finally` included.
    """

    def __init__(self, events: AsyncGenerator[bytes, None], *, headers: dict[str, str]) -> None:
        super().__init__(b"", status_code=200, headers=headers)
        self._events = events

    def to_asgi_response(  # type: ignore[override] # any ASGI application will do
        self,
        *_: Any,  # noqa: ANN401 - the framework's signature
        **__: Any,  # noqa: ANN401
    ) -> ASGIApp:
        """The application that sends it; nothing is added by the framework."""
        headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", **self.headers}
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

        async def respond(_: Scope, receive: Receive, send: Send) -> None:
            async with aclosing(self._events):
                await send({"type": "http.response.start", "status": 200, "headers": encoded})
                with contextlib.suppress(ClientDisconnectedError):
                    await until_disconnect(receive, self._pump(send))

        return respond

    async def _pump(self, send: Send) -> None:
        async for chunk in self._events:
            if chunk:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def until_disconnect(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Run `work`, and cancel it when the client disconnects.

    The request's body must have been read: what `receive` gives next is then the disconnect.

    Raises:
        ClientDisconnectedError: The client left first; `work` has been cancelled and has finished.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnectedError
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
