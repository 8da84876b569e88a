"""`POST /v1/feedback` and `GET /v1/decisions/{id}`: judging an answer, and reading why it was given."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath

from gateway.api.access import may, needs, principal
from gateway.api.body import body_of
from gateway.api.database import database_work
from gateway.api.openapi import documents
from gateway.api.parse import decode_body
from gateway.api.wire import FeedbackBody
from gateway.decisions.types import ObservationRow, ObservationSource
from gateway.errors import NotFoundError
from gateway.routing.exchange import new_id
from gateway.services import Services
from gateway.tenants.types import Role

__all__ = ("feedback", "show_decision")


@post("/v1/feedback", status_code=200, opt=documents(FeedbackBody, "The score was recorded.") | needs(Role.CALLER))
async def feedback(request: Request[Any, Any, State], services: NamedDependency[Services]) -> Response[Any]:
    """Join a score to the decision it judges; the last one for a decision counts."""
    headers = await services.limiter.count(principal(request).tenant, "feedback")
    body = decode_body(await body_of(request), FeedbackBody)
    async with database_work():
        tenant = await services.log.tenant_of(body.decision_id)
    if not _sees(request, tenant):
        raise NotFoundError(f"decision `{body.decision_id}` does not exist", param="decision_id")
    wall_s = services.clock.wall_s()
    row = ObservationRow(
        observation_id=new_id("obs", wall_s=wall_s),
        decision_id=body.decision_id,
        created_at_s=wall_s,
        source=ObservationSource.FEEDBACK,
        name=body.name,
        score=body.score,
        comment=body.comment,
    )
    services.log.record(row)
    content = {"id": row.observation_id, "object": "feedback", "decision_id": row.decision_id}
    return Response(content, status_code=200, headers=headers)


@get(
    "/v1/decisions/{decision_id:str}",
    opt=documents(None, "The decision, its outcome, its scores.") | needs(Role.CALLER),
)
async def show_decision(
    decision_id: FromPath[str], request: Request[Any, Any, State], services: NamedDependency[Services]
) -> Response[Any]:
    """Show a decision with its outcome and observations."""
    headers = await services.limiter.count(principal(request).tenant, "lookups")
    async with database_work():
        record = await services.log.find(decision_id)
    if record is None or not _sees(request, record.decision.tenant):
        raise NotFoundError(f"decision `{decision_id}` does not exist")
    return Response(msgspec.to_builtins(record), status_code=200, headers=headers)


def _sees(request: Request[Any, Any, State], tenant: str | None) -> bool:
    """Whether a decision about this tenant's request is for the caller to see; others do not exist to it."""
    who = principal(request)
    return tenant is not None and (tenant == who.tenant.id or may(who, Role.OPERATOR))
