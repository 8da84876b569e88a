"""The application as seen from outside: when a request arrived, how it was answered, when its last byte was sent."""

from __future__ import annotations

from litestar import Litestar
from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.types import HTTPScope, Message, Receive, Scope, Send

from gateway.api.access import tenant_of
from gateway.api.request_id import request_id
from gateway.clock import SYSTEM_CLOCK
from gateway.services import Services
from gateway.telemetry.origin import origin_of
from gateway.telemetry.sampling import head_sampled
from gateway.telemetry.scope import attach_timeline, exchange_of
from gateway.telemetry.seen import Seen
from gateway.telemetry.timeline import CURRENT, Timeline

__all__ = ("Observed",)

UNMATCHED = "unmatched"
"""Route of what no handler was found for."""


class Observed:
    """An ASGI application that gives every request a timeline, and has its end reported once its answer is sent."""

    def __init__(self, app: Litestar) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == ScopeType.HTTP:
            await self._serve(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _serve(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        services: Services | None = self._app.state.get("services")
        clock = SYSTEM_CLOCK if services is None else services.clock
        headers = Headers.from_scope(scope)
        timeline = Timeline(clock=clock, origin=origin_of(headers))
        if services is not None:
            share = services.settings.telemetry.traces.sample
            timeline.sampled = head_sampled(timeline.origin, share=share)
        scope.setdefault("state", {})
        attach_timeline(scope, timeline)
        CURRENT.set(timeline)  # Each request has a task of its own, and so a context of its own.
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            timeline.until_now("respond")
            timeline.end(timeline.root)
            self._report(scope, headers, timeline, status)

    def _report(self, scope: HTTPScope, headers: Headers, timeline: Timeline, status: int) -> None:
        services: Services | None = self._app.state.get("services")
        if services is None:
            return
        services.telemetry.finished(
            Seen(
                method=str(scope["method"]),
                route=scope.get("path_template") or UNMATCHED,
                status=status,
                request_id=request_id(scope),
                headers=headers,
                timeline=timeline,
                tenant=tenant_of(scope),
                exchange=exchange_of(scope),
            )
        )
