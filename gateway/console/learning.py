"""The page of learning: whether routing gets better, how right predictions are, and what the last trainings did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency

from gateway.api.admin.learning import PARAMETERS, learning_query, learning_report
from gateway.console.access import FRAGMENT, PAGE
from gateway.console.amounts import moment, percent
from gateway.console.filters import Choice, Field
from gateway.console.learning_view import learning_view
from gateway.console.render import fragment, page
from gateway.console.security import CHART_POLICY
from gateway.learning.learning_report import LearningReport
from gateway.services import Services
from policies.evaluation.learning_types import Shares

__all__ = ("learning_page", "learning_part")

Asked = Request[Any, Any, State]

PATH = "/console/learning"
PERIODS = {
    "1h": "the last hour",
    "6h": "the last 6 hours",
    "24h": "the last 24 hours",
    "7d": "the last 7 days",
    "30d": "the last 30 days",
}

_encode = msgspec.json.Encoder().encode


@get("/learning", opt=PAGE)
async def learning_page(request: Asked, services: NamedDependency[Services]) -> Response[str]:
    """The whole page; its report fetches itself anew from then on."""
    stated = _stated(request)
    values = await _report(stated, services)
    headers = {"Content-Security-Policy": CHART_POLICY}
    fields = _fields(stated, services)
    address = f"{PATH}/report?{urlencode(stated)}"
    return page(request, "learning.html", headers=headers, here="learning", fields=fields, address=address, **values)


@get("/learning/report", opt=FRAGMENT)
async def learning_part(request: Asked, services: NamedDependency[Services]) -> Response[str]:
    """The report, to take the place of what is shown."""
    return fragment(request, "learning_report.html", **await _report(_stated(request), services))


def _stated(request: Asked) -> dict[str, str]:
    """The conditions in the address; others are passed over."""
    return {name: text for name in PARAMETERS if (text := request.query_params.get(name, "").strip())}


async def _report(stated: dict[str, str], services: Services) -> dict[str, Any]:
    report = await learning_report(services, learning_query(stated))
    return {"report": report, "view": learning_view(report), "shares": _share_rows(report.figures.shares)} | {
        "chart": _chart(report)
    }


def _chart(report: LearningReport) -> str:
    """What the script draws, as it reads it from an attribute."""
    figures = report.figures
    drawn = {
        "shares": figures.shares,
        "best": figures.fixed.best,
        "blocks": figures.fixed.blocks,
        "coverage": {
            found.variant: found.latency_coverage for found in figures.variants if found.latency_coverage is not None
        },
        "reliability": {found.variant: found.reliability for found in figures.variants if found.reliability},
    }
    return _encode(drawn).decode()


def _share_rows(shares: Shares) -> list[list[str]]:
    """What the chart of shares shows, as a table; bins without requests are left out."""
    rows = []
    for place, begins_s in enumerate(shares.begins_s):
        counts = [found[place] for found in shares.counts.values()]
        if total := sum(counts):
            rows.append([moment(begins_s), f"{total:,}", *(percent(count / total) for count in counts)])
    return rows


def _fields(stated: Mapping[str, str], services: Services) -> tuple[Field, ...]:
    """The form as it stands. Values that are not among the choices, such as a removed tenant's, stay one."""
    tenants = sorted(tenant.id for tenant in services.directory.tenants)
    hints = sorted(services.policies.current.priorities)
    return (
        _select("since", "Time", PERIODS, stated.get("since", "24h")),
        _select("tenant", "Tenant", _any_of(tenants), stated.get("tenant", "")),
        _select("hint", "Hint", _any_of(hints), stated.get("hint", "")),
    )


def _any_of(names: Sequence[str]) -> dict[str, str]:
    return {"": "any"} | {name: name for name in names}


def _select(name: str, label: str, options: Mapping[str, str], value: str) -> Field:
    known = options if value in options else {**options, value: value}
    return Field(
        name=name, label=label, value=value, choices=tuple(Choice(value=v, text=text) for v, text in known.items())
    )
