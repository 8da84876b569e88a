"""`/openapi.json`: schemas of the request bodies, made from the very types that decode them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
from litestar import Request, get
from litestar.datastructures import State
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, OpenAPIMediaType, OpenAPIResponse, Operation, RequestBody, Schema

from backends.protocol import ErrorReply
from gateway import __version__
from gateway.api.wire import ChatBody, CompletionBody, EmbeddingBody, FeedbackBody

__all__ = ("documents", "openapi_config", "openapi_json")

_REF = "#/components/schemas/{name}"
_BODIES = (ChatBody, CompletionBody, EmbeddingBody, FeedbackBody)


@dataclass
class _RawSchema(Schema):
    """A JSON schema that is already in its final form."""

    raw: dict[str, Any] = field(default_factory=dict)

    def to_schema(self) -> dict[str, Any]:
        return self.raw


def documents(body: type[msgspec.Struct] | None, answer: str) -> type[Operation]:
    """An operation class that documents a body which the handler decodes itself, and our error answers."""

    @dataclass
    class Documented(Operation):
        def __post_init__(self) -> None:
            if body is not None:
                reference = _RawSchema(raw={"$ref": _REF.format(name=body.__name__)})
                content = {"application/json": OpenAPIMediaType(schema=reference)}
                self.request_body = RequestBody(content=content, required=True)
            error = _RawSchema(raw={"$ref": _REF.format(name="ErrorReply")})
            failed = OpenAPIResponse(
                description="OpenAI's error object.", content={"application/json": OpenAPIMediaType(schema=error)}
            )
            self.responses = {"200": OpenAPIResponse(description=answer), "4XX": failed, "5XX": failed}

    return Documented


def openapi_config() -> OpenAPIConfig:
    """Configuration of the schema route; components come from the wire types."""
    _, schemas = msgspec.json.schema_components((*_BODIES, ErrorReply), ref_template=_REF)
    return OpenAPIConfig(
        title="Trilemma",
        version=__version__,
        description="OpenAI-compatible routes, routed over several variants of a model.",
        components=Components(schemas={name: _RawSchema(raw=raw) for name, raw in schemas.items()}),
        # The framework answers every unknown path below this one with a page of its own, so it cannot be the root.
        path="/openapi",
        render_plugins=[JsonRenderPlugin(path="/schema.json")],
    )


@get("/openapi.json", include_in_schema=False)
async def openapi_json(request: Request[Any, Any, State]) -> dict[str, Any]:
    """The schema of all routes."""
    return request.app.openapi_schema.to_schema()
