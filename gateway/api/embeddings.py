"""`POST /v1/embeddings`: one vector for each text, by a variant that can embed."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.di import NamedDependency

from backends.types import Capability
from gateway.api.access import needs, principal
from gateway.api.beginning import taken_up
from gateway.api.body import body_of
from gateway.api.ending import carried_out
from gateway.api.openapi import documents
from gateway.api.parse import decode_body
from gateway.api.wire import EmbeddingBody
from gateway.decisions.types import Ending
from gateway.errors import ForbiddenError, InvalidRequestError
from gateway.routing.candidates import capabilities
from gateway.routing.exchange import Exchange
from gateway.routing.request import Route, ValidRequest
from gateway.services import Services
from gateway.telemetry.scope import timeline_of
from gateway.tenants.clamp import clamped
from gateway.tenants.types import Role, Tenant
from policies.objective import Limits

__all__ = ("embeddings",)


@post("/v1/embeddings", opt=documents(EmbeddingBody, "One vector for each input.") | needs(Role.CALLER))
async def embeddings(request: Request[Any, Any, State], services: NamedDependency[Services]) -> Response[Any]:
    """Embed texts with the first variant of the requested model that can."""
    tenant, timeline = principal(request).tenant, timeline_of(request.scope)
    timeline.until_now("http")
    services.limiter.turn_away(tenant)
    with timeline.stage("body"):
        received = await body_of(request)
    with timeline.stage("parse"):
        body = decode_body(received, EmbeddingBody)
        variant, valid = _embedder(services, body.model, tenant), clamped(_valid(body), tenant)
    exchange = taken_up(request, services, valid)
    return await carried_out(request, services, exchange, _answer(exchange, services, body, variant))


async def _answer(exchange: Exchange, services: Services, body: EmbeddingBody, variant: str) -> Response[bytes]:
    content = await services.embeddings.answer(exchange, body, variant)
    exchange.end(Ending.DONE)
    headers = exchange.headers | {
        "X-Trilemma-Variant": variant,
        "X-Trilemma-Cost-Usd": f"{exchange.cost_usd:.9f}",
    }
    return Response(content, status_code=200, media_type="application/json", headers=headers)


def _embedder(services: Services, model: str, tenant: Tenant) -> str:
    """The first variant, in the order of the configuration, that the model names, that embeds, that is allowed.

    Raises:
        ModelNotFoundError: No variant or alias has this name.
        InvalidRequestError: Nothing of that name can embed.
        ForbiddenError: The tenant may use none that can.
    """
    reachable = services.decider.reachable(model)
    able = [
        view.variant.name
        for view in services.catalogue.views()
        if view.variant.name in reachable and Capability.EMBEDDINGS in capabilities(view.variant)
    ]
    if not able:
        raise InvalidRequestError(f"no variant of `{model}` can embed", param="model", code="unsupported")
    for name in able:
        if tenant.variants is None or name in tenant.variants:
            return name
    raise ForbiddenError(f"tenant `{tenant.id}` may not use {', '.join(able)}", param="model")


def _valid(body: EmbeddingBody) -> ValidRequest:
    """The request as quotas and money see it. The texts stay in the body: no decision is made on them."""
    return ValidRequest(
        route=Route.EMBEDDINGS,
        model=body.model,
        payload={},
        stream=False,
        include_usage=False,
        choices=1,
        priority=None,
        limits=Limits(),
        service_tier=None,
        tags={},
        prompt="",
        turns=len(body.texts),
        prompt_bytes=sum(len(text.encode()) for text in body.texts),
        max_completion_tokens=0,
        needs=frozenset({Capability.EMBEDDINGS}),
        explain=False,
    )
