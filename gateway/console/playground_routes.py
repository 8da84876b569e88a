"""The routes of the playground."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency

from gateway.api.database import database_work
from gateway.api.generate import generate
from gateway.api.wire import PriorityName
from gateway.console.access import FRAGMENT, PAGE
from gateway.console.playground import columns, parse_question, question_from
from gateway.console.render import page
from gateway.services import Services
from gateway.telemetry import names
from gateway.traces.query import get as get_trace

__all__ = ("answers", "playground", "playground_variants")


@get("/playground", opt=PAGE)
async def playground(request: Request[Any, Any, State], services: NamedDependency[Services]) -> Response[str]:
    """The page; `from` names a trace whose prompt is to be asked again, where it was kept."""
    source = request.query_params.get("from")
    prompt = None if source is None else await _prompt(services, source)
    return page(
        request,
        "playground.html",
        here="playground",
        question=question_from(request.query_params, prompt=prompt),
        columns=columns(services.catalogue.views()),
        hints=get_args(PriorityName),
    )


@get("/playground/variants", opt=FRAGMENT)
async def playground_variants(services: NamedDependency[Services]) -> Response[bytes]:
    """How those stand who can be asked."""
    told = msgspec.json.encode(columns(services.catalogue.views()))
    return Response(told, media_type="application/json")


@post("/playground/answers", opt=PAGE, status_code=200)
async def answers(request: Request[Any, Any, State], services: NamedDependency[Services]) -> Response[Any]:
    """One answer as a stream of events; quotas and money count as for any other request of the tenant."""
    return await generate(request, services, parse_question)


async def _prompt(services: Services, trace: str) -> str | None:
    async with database_work():
        found = await asyncio.to_thread(get_trace, services.console.engine, trace[:64])
    told = found.spans[0].attributes if found is not None and found.spans else {}
    prompt = told.get(names.PROMPT)
    return prompt if isinstance(prompt, str) else None
