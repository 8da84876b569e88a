"""Pages from templates. Everything put into one is escaped; a name that a template misspells is an error."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Request, Response

from gateway import __version__
from gateway.api.access import principal, tenant_of
from gateway.console import amounts
from gateway.console.assets import asset_url
from gateway.console.cookies import form_secret, keep_visitor
from gateway.console.forgery import FIELD, form_token

__all__ = ("NAVIGATION", "environment", "fragment", "page")

NAVIGATION = (
    ("overview", "/console", "Overview"),
    ("requests", "/console/requests", "Slow requests"),
    ("learning", "/console/learning", "Learning"),
    ("variants", "/console/variants", "Variants"),
    ("tenants", "/console/tenants", "Tenants"),
    ("policies", "/console/policies", "Policies"),
    ("playground", "/console/playground", "Playground"),
)
"""Name, address and title of what the pages' navigation leads to; a page says by `here` which it belongs to."""

HTML = "text/html; charset=utf-8"

Asked = Request[Any, Any, Any]


@cache
def environment() -> Environment:
    """All templates, compiled; reads the disk, so it is called before the event loop runs."""
    made = Environment(
        loader=PackageLoader("gateway.console"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=-1,
    )
    for name in ("bytes_of", "count", "marked", "moment", "number", "percent", "seconds", "usd"):
        made.filters[name] = getattr(amounts, name)
    made.globals |= {"static": asset_url, "version": __version__, "navigation": NAVIGATION, "form_field": FIELD}
    for name in made.list_templates(filter_func=lambda name: name.endswith(".html")):
        made.get_template(name)
    return made


def page(
    request: Asked, template: str, *, status: int = 200, headers: dict[str, str] | None = None, **values: object
) -> Response[str]:
    """A whole page.

    Args:
        request: That it answers.
        template: Which extends `base.html`.
        status: Of the answer.
        headers: Of the answer; the protective ones come by themselves.
        values: What the template names; `csrf`, `who` and `path` are always there.
    """
    response = _rendered(template, request, values, status, headers)
    keep_visitor(response, request)
    return response


def fragment(request: Asked, template: str, **values: object) -> Response[str]:
    """A part of a page, which takes the place of the one that is there."""
    return _rendered(template, request, values, 200, None)


def _rendered(
    template: str, request: Asked, values: dict[str, object], status: int, headers: dict[str, str] | None
) -> Response[str]:
    always = {"who": _who(request), "path": request.url.path, "csrf": form_token(form_secret(request))}
    html = environment().get_template(template).render(always | values)
    return Response(html, media_type=HTML, status_code=status, headers=headers)


def _who(request: Asked) -> dict[str, str | None] | None:
    """Who is signed in; None on pages that anybody may see."""
    if tenant_of(request.scope) is None:
        return None
    found = principal(request)
    return {"tenant": found.tenant.id, "role": found.role, "key_id": found.key_id}
