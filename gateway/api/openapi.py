"""`/openapi.json`: every route that is documented, its body by the very type that decodes it.

Made here and not by the framework, which knows only bodies that it decodes itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
from litestar import Request, get
from litestar.datastructures import State
from litestar.routes import BaseRoute, HTTPRoute

from backends.protocol import ErrorReply
from gateway import __version__
from gateway.api.access import OPEN
from gateway.api.admin.bodies import (
    NewTenantBody,
    PolicyBody,
    PublishBody,
    RollbackBody,
    RotateBody,
    TenantBody,
)
from gateway.api.wire import ChatBody, CompletionBody, EmbeddingBody, FeedbackBody
from gateway.tenants.keys import KeyTerms

__all__ = ("documents", "openapi_json")

_BODIES = (
    ChatBody,
    CompletionBody,
    EmbeddingBody,
    FeedbackBody,
    KeyTerms,
    NewTenantBody,
    PolicyBody,
    PublishBody,
    RollbackBody,
    RotateBody,
    TenantBody,
)
_OPTION = "documentation"


@dataclass(frozen=True, kw_only=True)
class _Documentation:
    body: type[msgspec.Struct] | None
    answer: str


def documents(body: type[msgspec.Struct] | None, answer: str) -> dict[str, object]:
    """Options of a route that put it into the document.

    Args:
        body: What it decodes, one of the wire types.
        answer: What it answers, in a sentence.
    """
    return {_OPTION: _Documentation(body=body, answer=answer)}


@get("/openapi.json", opt=OPEN)
async def openapi_json(request: Request[Any, Any, State]) -> dict[str, Any]:
    """The document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Trilemma",
            "version": __version__,
            "description": "OpenAI-compatible routes, routed over several variants of a model.",
        },
        "paths": _paths(request.app.routes),
        "components": {"schemas": _schemas()},
    }


@cache
def _schemas() -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components((*_BODIES, ErrorReply), ref_template="#/components/schemas/{name}")
    return schemas


def _paths(routes: Iterable[BaseRoute]) -> dict[str, dict[str, Any]]:
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if not isinstance(route, HTTPRoute):
            continue
        for method, (handler, _) in route.route_handler_map.items():
            if (documentation := handler.opt.get(_OPTION)) is not None:
                operation = _operation(method, route, documentation, summary=handler.fn.__doc__ or "")
                paths.setdefault(route.path_format, {})[method.lower()] = operation
    return paths


def _operation(method: str, route: HTTPRoute, documentation: _Documentation, *, summary: str) -> dict[str, Any]:
    failed = {"description": "OpenAI's error object.", "content": _json(ErrorReply)}
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}{route.path_format}").strip("_"),
        "summary": summary.partition("\n")[0],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in route.path_parameters
        ],
        "responses": {"200": {"description": documentation.answer}, "4XX": failed, "5XX": failed},
    }
    if documentation.body is not None:
        operation["requestBody"] = {"required": True, "content": _json(documentation.body)}
    return operation


def _json(type_: type[msgspec.Struct]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{type_.__name__}"}}}
