"""`POST /v1/embeddings`: passed to a variant that can embed, else a clear error."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.di import NamedDependency

from backends.client import Timeouts
from backends.errors import BackendError
from backends.types import Capability
from gateway.api.access import needs
from gateway.api.openapi import documents
from gateway.api.parse import decode_body
from gateway.api.wire import EmbeddingBody
from gateway.errors import InvalidRequestError, from_backend
from gateway.routing.candidates import capabilities
from gateway.services import Services
from gateway.tenants.types import Role

__all__ = ("embeddings",)


@post("/v1/embeddings", opt=documents(EmbeddingBody, "One vector for each input.") | needs(Role.CALLER))
async def embeddings(request: Request[Any, Any, State], services: NamedDependency[Services]) -> Response[bytes]:
    """Embed texts with the first variant of the requested model that can."""
    body = decode_body(await request.body(), EmbeddingBody)
    reachable = services.decider.reachable(body.model)
    able = [
        view.variant.name
        for view in services.catalogue.views()
        if view.variant.name in reachable and Capability.EMBEDDINGS in capabilities(view.variant)
    ]
    if not able:
        raise InvalidRequestError(f"no variant of `{body.model}` can embed", param="model", code="unsupported")
    limits = services.settings.server
    timeouts = Timeouts(total_s=limits.request_timeout_s, idle_s=limits.idle_timeout_s)
    try:
        with services.catalogue.lease(able[0]) as client:
            payload = msgspec.to_builtins(body) | {"model": client.endpoint.model}
            answer = await client.request("/v1/embeddings", msgspec.json.encode(payload), timeouts=timeouts)
    except BackendError as error:
        raise from_backend(error) from error
    # Raw values: the vectors are passed on without being decoded.
    named = msgspec.json.decode(answer, type=dict[str, msgspec.Raw]) | {"model": able[0]}
    content = msgspec.json.encode(named)
    return Response(content, media_type="application/json", headers={"X-Trilemma-Variant": able[0]}, status_code=200)
