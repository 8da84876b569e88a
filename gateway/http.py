"""The HTTP protocol of uvicorn, with bounds on the head of a request: how large it is, and how long it takes.

Without them one connection could fill the memory with headers, or hold a place for ever by sending nothing.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.errors import ApiError, DeadlineError, InvalidRequestError, PayloadTooLargeError

__all__ = ("HEAD_TIMEOUT_S", "MAX_HEAD_BYTES", "BoundedHttpProtocol")

MAX_HEAD_BYTES = 64 * 1024
"""Request line and headers together; a larger head is answered with 431."""

HEAD_TIMEOUT_S = 15.0
"""From the connection, or the first byte of a further request, to the end of the head; then 408."""

_REASONS = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}


class _HeadTooLargeError(Exception):
    """Tells the parser to stop; never leaves this module."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Expect the head of a request."""
        self._head_bytes: int | None = 0
        """Received of the head that is being read; None while there is none."""
        self._patience: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        self._begin_to_wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived; a head that has grown too large is refused even if it never ends."""
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            self._begin_to_wait()
        super().data_received(data)
        if self._head_bytes is not None and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(431)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            raise _HeadTooLargeError
        self._stop_waiting()
        self._head_bytes = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A further request may follow."""
        super().on_message_complete()
        self._head_bytes = 0

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - ours says more
        """The parser gave up."""
        self._refuse(431 if (self._head_bytes or 0) > MAX_HEAD_BYTES else 400)

    def _refuse(self, status: int) -> None:
        """Answer with an error object, and close the connection."""
        self._stop_waiting()
        if self.transport.is_closing():
            return
        if not self._head_bytes and status == 408:
            self.transport.close()  # Nothing was asked, and so nothing is answered.
            return
        error: ApiError
        if status == 431:
            error = PayloadTooLargeError(f"request line and headers are larger than {MAX_HEAD_BYTES} bytes")
        elif status == 408:
            error = DeadlineError(f"the head of the request was not complete after {HEAD_TIMEOUT_S:g} s")
        else:
            error = InvalidRequestError("this is not an HTTP/1.1 request")
        body = error.to_json()
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _begin_to_wait(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(HEAD_TIMEOUT_S, self._refuse, 408)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
