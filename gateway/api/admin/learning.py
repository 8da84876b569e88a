"""`GET /admin/v1/learning`: whether routing gets better, for scripts."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec
from litestar import Request, get
from litestar.datastructures import State
from litestar.di import NamedDependency

from gateway.api.access import needs
from gateway.api.openapi import documents
from gateway.errors import InvalidRequestError, UnavailableError
from gateway.learning.errors import ReportError
from gateway.learning.learning_report import LearningQuery, LearningReport
from gateway.learning.periods import parse_period
from gateway.services import Services
from gateway.tenants.types import Role

__all__ = ("PARAMETERS", "learning_query", "learning_report", "show_learning")

PATIENCE_S = 30.0
"""A report is made once for all who ask for it; one of a long log takes some seconds."""

PARAMETERS = ("since", "tenant", "hint")

logger = logging.getLogger(__name__)


@get(
    "/admin/v1/learning",
    opt=documents(None, "Routing against fixed variants, predictions against answers, and the last trainings.")
    | needs(Role.OPERATOR),
)
async def show_learning(request: Request[Any, Any, State], services: NamedDependency[Services]) -> dict[str, Any]:
    """Report on a period: `since` (such as `24h`), `tenant` and `hint` narrow it."""
    report = await learning_report(services, learning_query(dict(request.query_params)))
    return {"object": "learning", **msgspec.to_builtins(report)}


async def learning_report(services: Services, query: LearningQuery) -> LearningReport:
    """A report that is a few seconds old at most.

    Raises:
        UnavailableError: It could not be made, or not in time.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await services.learning.of(query)
    except (ReportError, OSError, TimeoutError) as error:
        logger.warning("no report on learning: %s", error or "it took too long")
        raise UnavailableError("the report could not be made in time; try again", retry_after_s=5.0) from error


def learning_query(parameters: dict[str, str]) -> LearningQuery:
    """A query from the parameters of an address; an empty one is no condition.

    Raises:
        InvalidRequestError: One is unknown, or its value does not fit; the message names it.
    """
    stated = {name: value for name, value in parameters.items() if value}
    for unknown in sorted(stated.keys() - set(PARAMETERS)):
        raise InvalidRequestError(f"there is no `{unknown}`; known: {', '.join(PARAMETERS)}", param=unknown)
    for name in ("tenant", "hint"):
        if not (text := stated.get(name, "")).isprintable() or len(text) > 64:
            raise InvalidRequestError(f"`{name}` is no name", param=name)
    try:
        period_s = parse_period(stated.get("since", "24h"))
    except ValueError as error:
        raise InvalidRequestError(str(error), param="since") from None
    return LearningQuery(period_s=period_s, tenant=stated.get("tenant"), hint=stated.get("hint"))
