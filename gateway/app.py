"""The Litestar application: routes, error answers, limits."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException

from gateway.api.access import authorise
from gateway.api.admin.routes import ADMIN_ROUTES
from gateway.api.embeddings import embeddings
from gateway.api.feedback import feedback, show_decision
from gateway.api.generate import chat_completions, completions
from gateway.api.health import livez, readyz
from gateway.api.metrics import metrics
from gateway.api.models import list_models, show_model
from gateway.api.openapi import openapi_json
from gateway.api.path import printable_path
from gateway.api.request_id import add_request_id, request_id
from gateway.api.sla import own_sla, tenant_sla
from gateway.console.routes import console_router
from gateway.console.security import add_security_headers
from gateway.errors import ApiError, InternalError, InvalidRequestError, NotFoundError, PayloadTooLargeError
from gateway.services import Services

__all__ = ("create_app",)

logger = logging.getLogger(__name__)

ServicesFactory = Callable[[], AbstractAsyncContextManager[Services]]


def create_app(open_services: ServicesFactory, *, max_body_bytes: int) -> Litestar:
    """Build the application.

    Args:
        open_services: Entered at start-up, exited after the last request; gives the services of the handlers.
        max_body_bytes: Larger request bodies are refused with 413.
    """

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncGenerator[None, None]:
        async with open_services() as services:
            app.state.services = services
            yield

    def provide_services(state: State) -> Services:
        services: Services = state.services
        return services

    return Litestar(
        route_handlers=[
            chat_completions,
            completions,
            embeddings,
            list_models,
            show_model,
            feedback,
            show_decision,
            own_sla,
            tenant_sla,
            livez,
            readyz,
            metrics,
            openapi_json,
            *ADMIN_ROUTES,
            console_router(),
        ],
        guards=[authorise, printable_path],
        dependencies={"services": Provide(provide_services, sync_to_thread=False)},
        exception_handlers={ApiError: _api_error, HTTPException: _http_error, Exception: _unexpected},
        before_send=[add_request_id, add_security_headers],
        lifespan=[lifespan],
        request_max_body_size=max_body_bytes,
        openapi_config=None,
        logging_config=None,
    )


def _api_error(_: Request[Any, Any, Any], error: ApiError) -> Response[bytes]:
    return Response(error.to_json(), status_code=error.status, media_type="application/json", headers=error.headers)


def _http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """The framework's own refusals, in our form."""
    known: ApiError
    if error.status_code == 413:
        known = PayloadTooLargeError("the request body is larger than this gateway accepts", param="body")
    elif error.status_code in {404, 405}:
        known = NotFoundError(f"there is no {request.method} {request.url.path}")
    elif error.status_code < 500:
        known = InvalidRequestError(error.detail)
    else:
        return _unexpected(request, error)
    known.headers |= error.headers or {}
    answer = _api_error(request, known)
    answer.status_code = error.status_code
    return answer


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    logger.error("%s %s failed (%s)", request.method, request.url.path, request_id(request.scope), exc_info=error)
    return _api_error(request, InternalError())
