"""Reading a streamed answer event by event, and knowing whether it was whole."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

import aiohttp

from backends.client.endpoint import Timeouts
from backends.client.mapping import from_exception
from backends.client.peek import peek
from backends.errors import ConnectionLostError, UpstreamTimeoutError
from backends.sse import DONE_DATA, SseReader

__all__ = ("EventStream",)

_TRAILER_GRACE_S = 1.0
"""How long a server may take to end its answer after `[DONE]` before its connection is given up."""


class EventStream:
    """The data of a stream's events, each a JSON object; ends where the answer is complete.

    Iterate it inside `async with`, or call `aclose` when done: leaving early closes the connection, so that the
    server stops generating. Iteration raises `UpstreamError` subclasses and never ends quietly on a cut answer.
    """

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        *,
        choices: int,
        timeouts: Timeouts,
        started_s: float,
        secret: str | None,
        on_end: Callable[[], None],
    ) -> None:
        self._response = response
        self._choices = choices
        self._timeouts = timeouts
        self._deadline_s = started_s + timeouts.total_s
        self._event_by_s = started_s + timeouts.first_s
        self._secret = secret
        self._on_end = on_end
        self._reader = SseReader()
        self._events: deque[bytes] = deque()
        self._at_eof = False
        self._begun = False
        self._open = True
        self._loop = asyncio.get_running_loop()
        self.status = response.status
        """HTTP status."""
        self.finish_reasons: dict[int, str] = {}
        """Finish reason by the index of the choice, as far as they came."""
        self.saw_done = False
        """Whether the server sent `[DONE]`."""

    @property
    def complete(self) -> bool:
        """Whether the whole answer came: `[DONE]`, or a finish reason for every choice asked for."""
        return self.saw_done or len(self.finish_reasons) >= self._choices

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._open:
            raise StopAsyncIteration
        try:
            data = await self._next_event()
            if data is not None:
                self._note(data)
                return data
        except BaseException:
            # Cancellation too: whoever stops reading must stop the server.
            self._close()
            raise
        self._leave()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Close the connection if the answer is not over; does nothing on successive calls."""
        self._close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    async def _next_event(self) -> bytes | None:
        """The next event, or None at the end of a complete answer."""
        if self._begun:
            # From now on, for the time in which nobody asked for an event is not the server's.
            self._event_by_s = self._loop.time() + self._timeouts.idle_s
        while not self._events:
            if self._at_eof:
                if self.complete:
                    return None
                raise ConnectionLostError("the stream ended before the answer was complete")
            await self._read()
        data = self._events.popleft()
        if data == DONE_DATA:
            self.saw_done = True
            return None
        return data

    async def _read(self) -> None:
        """Take what has arrived, waiting if nothing has."""
        try:
            async with asyncio.timeout_at(min(self._deadline_s, self._event_by_s)):
                chunk = await self._response.content.readany()
        except TimeoutError:
            raise UpstreamTimeoutError(self._what_ran_out()) from None
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            # RuntimeError is how aiohttp says that the session was closed meanwhile.
            lost = from_exception(error, doing="reading the stream")
            if not self.complete:
                raise lost from None
            chunk = b""
        self._at_eof = not chunk
        events = self._reader.feed(chunk) if chunk else self._reader.close()
        if events:
            self._events.extend(events)
            self._begun = True

    def _what_ran_out(self) -> str:
        if self._deadline_s <= self._event_by_s:
            return f"the answer was not complete after {self._timeouts.total_s:g} s"
        return "no further event came in time"

    def _note(self, data: bytes) -> None:
        for choice in peek(data, secret=self._secret).choices or ():
            if choice.finish_reason is not None:
                self.finish_reasons[choice.index] = choice.finish_reason

    def _leave(self) -> None:
        """The answer is complete: the connection returns to the pool by itself once the last chunk has arrived."""
        content = self._response.content
        if self._at_eof or content.is_eof():
            self._close()
            return
        self._open = False
        timer = self._loop.call_later(_TRAILER_GRACE_S, self._hang_up)

        def returned() -> None:
            timer.cancel()
            self._on_end()

        content.on_eof(returned)

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._hang_up()

    def _hang_up(self) -> None:
        """Close the connection, unless it has returned to the pool already."""
        self._response.close()
        self._on_end()
