"""How other processes ask the supervisor: HTTP on a Unix socket, and the client for it.

`GET /variants`, `POST /variants/{name}/start` (answers once it is warm; leaving early withdraws the wish), and
`POST /variants/{name}/stop`. Errors are OpenAI-shaped, so that `VariantClient` maps them like any other server's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from backends.client import Endpoint, Timeouts, VariantClient
from backends.errors import BackendError, NotFoundError, ProtocolError
from backends.sockets import short_socket_path
from backends.types import VariantStatus

__all__ = ("ControlClient", "Controlled", "serve_control")

_ASK_S = 5.0
_STOP_S = 60.0


class Controlled(Protocol):
    """What the control endpoint drives: the supervisor."""

    def statuses(self) -> list[VariantStatus]:
        """How every local variant stands."""
        ...

    async def ensure(self, name: str) -> VariantStatus:
        """Have a variant warm; raises `BackendError` if it cannot be."""
        ...

    async def rest(self, name: str) -> VariantStatus:
        """Stop a variant's worker and leave it stopped; raises `BackendError`."""
        ...


class _Statuses(msgspec.Struct):
    variants: list[VariantStatus]


_many = msgspec.json.Decoder(_Statuses)
_one = msgspec.json.Decoder(VariantStatus)


class ControlClient:
    """Asks the supervisor listening on a Unix socket. Every method raises `UpstreamError` subclasses."""

    def __init__(self, socket_path: Path) -> None:
        self._client = VariantClient(Endpoint(socket_path=str(short_socket_path(socket_path))))

    async def variants(self) -> list[VariantStatus]:
        """How every local variant stands."""
        body = await self._client.request("/variants", timeouts=Timeouts(connect_s=_ASK_S, total_s=_ASK_S))
        try:
            return _many.decode(body).variants
        except msgspec.MsgspecError as error:
            raise ProtocolError(f"the supervisor's answer cannot be read: {error}") from None

    async def start(self, name: str, *, timeout_s: float) -> VariantStatus:
        """Have a variant warm, waiting at most `timeout_s`; cancelling withdraws the wish.

        Raises:
            NotFoundError: No local variant has this name.
            OverloadedError: It is not built, would not start, or does not fit; the message says which.
            UpstreamTimeoutError: Not in time.
        """
        return await self._post(f"/variants/{name}/start", timeout_s)

    async def stop(self, name: str) -> VariantStatus:
        """Stop a variant's worker after its requests; it stays stopped until it is started again."""
        return await self._post(f"/variants/{name}/stop", _STOP_S)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose(grace_s=0)

    async def _post(self, path: str, timeout_s: float) -> VariantStatus:
        body = await self._client.request(path, b"", timeouts=Timeouts(connect_s=_ASK_S, total_s=timeout_s))
        try:
            return _one.decode(body)
        except msgspec.MsgspecError as error:
            raise ProtocolError(f"the supervisor's answer cannot be read: {error}") from None


@asynccontextmanager
async def serve_control(controlled: Controlled, socket_path: Path) -> AsyncIterator[None]:
    """Answer on the socket for as long as the context lasts."""

    async def variants(_: web.Request) -> web.Response:
        return _json(_Statuses(variants=controlled.statuses()))

    async def start(request: web.Request) -> web.Response:
        return _json(await controlled.ensure(request.match_info["name"]))

    async def stop(request: web.Request) -> web.Response:
        return _json(await controlled.rest(request.match_info["name"]))

    app = web.Application(middlewares=[_errors_as_json])
    app.router.add_get("/variants", variants)
    app.router.add_post("/variants/{name}/start", start)
    app.router.add_post("/variants/{name}/stop", stop)
    # Cancellation tells `ensure` that its waiter has left.
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    path = short_socket_path(socket_path)
    path.unlink(missing_ok=True)
    await web.UnixSite(runner, str(path)).start()
    path.chmod(0o600)
    try:
        yield
    finally:
        await runner.cleanup()
        path.unlink(missing_ok=True)


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except BackendError as error:
        body = {"error": {"message": str(error), "type": error.error_type, "param": None, "code": error.error_type}}
        return web.json_response(body, status=404 if isinstance(error, NotFoundError) else 503)


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
