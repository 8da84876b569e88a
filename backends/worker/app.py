"""The routes of a worker: OpenAI's, and two for whoever runs it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from litestar import Litestar, Request, Response, get, post
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp

from backends.types import LoadReport, WorkerState
from backends.worker.embedding_answer import EmbeddingAnswer, parse_embeddings
from backends.worker.errors import RequestError
from backends.worker.parse import plan_chat, plan_completion
from backends.worker.respond import Answer
from backends.worker.service import Service
from backends.worker.wire import error_reply, server_error

__all__ = ("create_app",)

log = logging.getLogger(__name__)

_MAX_BODY_BYTES = 32 * 1024 * 1024


@post("/v1/chat/completions", status_code=HTTPStatus.OK)
async def chat_completions(request: Request[Any, Any, Any], service: Service) -> ASGIApp:
    """Answer a conversation."""
    return Answer(service, plan_chat(await request.body(), service.spec.decoding), service.chat_writer)


@post("/v1/completions", status_code=HTTPStatus.OK)
async def completions(request: Request[Any, Any, Any], service: Service) -> ASGIApp:
    """Continue one or more texts."""
    return Answer(service, plan_completion(await request.body(), service.spec.decoding), service.completion_writer)


@post("/v1/embeddings", status_code=HTTPStatus.OK)
async def embeddings(request: Request[Any, Any, Any], service: Service) -> ASGIApp:
    """Turn texts into vectors."""
    return EmbeddingAnswer(service, parse_embeddings(await request.body()))


@get("/v1/models")
async def models(service: Service) -> dict[str, Any]:
    """The one model there is, and what it can do."""
    entry = {
        "id": service.spec.name,
        "object": "model",
        "created": service.created,
        "owned_by": "trilemma",
        "context_tokens": service.spec.context_tokens,
        "capabilities": service.capabilities,
    }
    return {"object": "list", "data": [entry]}


@get("/load")
async def load(service: Service) -> LoadReport:
    """How busy the worker is."""
    return service.load()


@get("/healthz")
async def healthz(service: Service) -> Response[dict[str, WorkerState]]:
    """200 when requests will be answered, else 503."""
    warm = service.state is WorkerState.WARM
    status = HTTPStatus.OK if warm else HTTPStatus.SERVICE_UNAVAILABLE
    return Response({"state": service.state}, status_code=status)


def create_app(service: Service) -> Litestar:
    """The application of one worker.

    Args:
        service: Not running yet; the application starts its engine and stops it.
    """

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with service.running():
            yield

    return Litestar(
        route_handlers=[chat_completions, completions, embeddings, models, load, healthz],
        dependencies={"service": Provide(lambda: service, sync_to_thread=False, use_cache=True)},
        exception_handlers={RequestError: _refused, HTTPException: _http_error, Exception: _failed},
        lifespan=[lifespan],
        request_max_body_size=_MAX_BODY_BYTES,
        openapi_config=None,
        logging_config=None,
    )


def _refused(_: Request[Any, Any, Any], error: RequestError) -> Response[bytes]:
    headers = {"retry-after": "1"} if error.status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return Response(error_reply(error), status_code=error.status, media_type="application/json", headers=headers)


def _http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """No such route, wrong method, body too large."""
    return _refused(request, RequestError(error.detail, status=error.status_code))


def _failed(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.error("request_failed", exc_info=error)
    return _refused(request, server_error(f"unexpected {type(error).__name__}"))
