"""How a request is taken up: what becomes of it is known by its exchange from then on."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.datastructures import State

from gateway.api.access import principal
from gateway.api.request_id import request_id
from gateway.routing.exchange import Exchange
from gateway.routing.request import ValidRequest
from gateway.services import Services
from gateway.telemetry.scope import attach_exchange, timeline_of

__all__ = ("taken_up",)


def taken_up(request: Request[Any, Any, State], services: Services, valid: ValidRequest) -> Exchange:
    """The exchange of a request that was read, on behalf of whoever sent it."""
    exchange = Exchange(
        valid,
        tenant=principal(request).tenant,
        clock=services.clock,
        log=services.log,
        request_id=request_id(request.scope),
        timeline=timeline_of(request.scope),
    )
    attach_exchange(request.scope, exchange)
    return exchange
