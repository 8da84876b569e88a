"""The client of one variant: a pooled aiohttp session that is never closed under a request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from backends.client.endpoint import Endpoint, Timeouts
from backends.client.mapping import from_exception, from_response
from backends.client.peek import peek
from backends.client.stream import EventStream
from backends.errors import ConnectError, ProtocolError, UpstreamTimeoutError
from backends.types import LoadReport

__all__ = ("MAX_BODY_BYTES", "VariantClient")

MAX_BODY_BYTES = 32 * 1024 * 1024
"""An answer larger than this is refused."""

_MAX_ERROR_BYTES = 64 * 1024
_PASSED_ON = frozenset({"traceparent", "tracestate"})
"""The only headers of a caller that reach a server."""
_load_decoder = msgspec.json.Decoder(LoadReport)


class VariantClient:
    """Speaks to one endpoint over one pool of connections. Cheap to make: the session opens with the first call."""

    def __init__(
        self, endpoint: Endpoint, *, timeouts: Timeouts | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.endpoint = endpoint
        self._timeouts = timeouts or Timeouts()
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._in_flight = 0
        self._retired = False
        self._unused = asyncio.Event()
        self._unused.set()

    @property
    def in_flight(self) -> int:
        """Calls that have not ended."""
        return self._in_flight

    async def request(
        self,
        path: str,
        payload: bytes | None = None,
        *,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Send a call and return the whole answer, known to be a JSON object.

        Args:
            path: Such as `/v1/chat/completions`.
            payload: JSON to POST; without it the call is a GET.
            timeouts: Instead of the client's own; only `connect_s` and `total_s` count.
            headers: Headers of the caller; those that are not on the allow-list are dropped.

        Raises:
            UpstreamError: As the tree in `backends.errors` says.
        """
        timeouts = timeouts or self._timeouts
        by_s = asyncio.get_running_loop().time() + timeouts.total_s
        self._enter()
        try:
            async with self._deadline(by_s, path), await self._send(path, payload, timeouts, headers) as response:
                body = await _read_body(response, MAX_BODY_BYTES)
        finally:
            self._leave()
        peek(body, secret=self.endpoint.api_key)
        return body

    async def stream(
        self,
        path: str,
        payload: bytes,
        *,
        choices: int = 1,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> EventStream:
        """Send a call whose payload asks for a stream; returns once the server has accepted it.

        Args:
            path: Such as `/v1/chat/completions`.
            payload: JSON to POST.
            choices: The `n` of the request, to know when an answer without `[DONE]` is complete.
            timeouts: Instead of the client's own.
            headers: As for `request`.

        Raises:
            UpstreamError: As the tree in `backends.errors` says; the stream raises from the same tree.
        """
        timeouts = timeouts or self._timeouts
        started_s = asyncio.get_running_loop().time()
        self._enter()
        try:
            async with self._deadline(started_s + min(timeouts.first_s, timeouts.total_s), path):
                response = await self._send(path, payload, timeouts, headers)
        except BaseException:
            self._leave()
            raise
        return EventStream(
            response,
            choices=choices,
            timeouts=timeouts,
            started_s=started_s,
            secret=self.endpoint.api_key,
            on_end=self._leave,
        )

    async def load(self, *, timeout_s: float = 5.0) -> LoadReport:
        """What a worker says about its load.

        Raises:
            UpstreamError: It did not say.
        """
        body = await self.request("/load", timeouts=Timeouts(connect_s=timeout_s, total_s=timeout_s))
        try:
            return _load_decoder.decode(body)
        except msgspec.MsgspecError as error:
            raise ProtocolError(f"the load report cannot be read: {error}") from None

    async def aclose(self, *, grace_s: float | None = None) -> None:
        """Take no further calls, wait for those in flight, then close the connections.

        Args:
            grace_s: Wait at most this long, then cut the rest; without it, as long as they take.
        """
        self._retired = True
        try:
            async with asyncio.timeout(grace_s):
                await self._unused.wait()
        except TimeoutError:
            pass
        if self._session is not None:
            await self._session.close()

    def _enter(self) -> None:
        if self._retired:
            raise ConnectError("the client of this variant is closed")
        self._in_flight += 1
        self._unused.clear()

    def _leave(self) -> None:
        self._in_flight -= 1
        if not self._in_flight:
            self._unused.set()

    @asynccontextmanager
    async def _deadline(self, by_s: float, path: str) -> AsyncIterator[None]:
        """Bound what happens inside, and map what goes wrong there."""
        try:
            async with asyncio.timeout_at(by_s) as bound:
                yield
        except (aiohttp.ClientError, OSError) as error:
            if bound.expired():
                raise UpstreamTimeoutError(f"{path}: no answer in time") from None
            raise from_exception(error, doing=path) from None

    async def _send(
        self, path: str, payload: bytes | None, timeouts: Timeouts, headers: Mapping[str, str] | None
    ) -> aiohttp.ClientResponse:
        """Send, and return the answer if its status is 200."""
        response = await self._open_session().request(
            "GET" if payload is None else "POST",
            self.endpoint.url(path),
            data=payload,
            headers={name: value for name, value in (headers or {}).items() if name.lower() in _PASSED_ON},
            timeout=aiohttp.ClientTimeout(total=None, connect=timeouts.connect_s),
            allow_redirects=False,
        )
        if response.status == 200:
            return response
        async with response:
            try:
                body = await _read_body(response, _MAX_ERROR_BYTES)
            except (aiohttp.ClientError, ProtocolError):
                body = b""  # The status says enough.
        raise from_response(
            response.status, response.headers, body, now_s=self._clock(), secret=self.endpoint.api_key
        )

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            where = self.endpoint
            # Admission limits concurrency long before us; a limit here would only hide a queue.
            connector = (
                aiohttp.UnixConnector(where.socket_path, limit=0)
                if where.socket_path
                else aiohttp.TCPConnector(limit=0)
            )
            headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
            if where.api_key:
                headers["Authorization"] = f"Bearer {where.api_key}"
            self._session = aiohttp.ClientSession(
                connector=connector, headers=headers, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


async def _read_body(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit_bytes:
            raise ProtocolError(f"the answer is larger than {limit_bytes} bytes")
    return bytes(body)
