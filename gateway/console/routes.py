"""The routes of the console, as one part of the application."""

from __future__ import annotations

from litestar import Router

from gateway.console import learning, login, overview, playground_routes, policies, requests_routes, tenants, variants
from gateway.console.assets import asset, load_assets
from gateway.console.failures import HANDLERS
from gateway.console.forgery import unforged
from gateway.console.render import environment

__all__ = ("console_router",)


def console_router() -> Router:
    """All pages; templates and files are read now, so that no request has to."""
    load_assets()
    environment()
    return Router(
        path="/console",
        route_handlers=[
            asset,
            login.login_page,
            login.sign_in,
            login.sign_out,
            overview.overview,
            overview.overview_live,
            overview.overview_frontier,
            overview.overview_promises,
            learning.learning_page,
            learning.learning_part,
            variants.variants,
            variants.variant_list,
            variants.confirm_stop,
            variants.start_variant,
            variants.stop_variant,
            tenants.tenants,
            tenants.tenant_page,
            policies.policies,
            policies.policy_page,
            requests_routes.requests_page,
            requests_routes.request_page,
            playground_routes.playground,
            playground_routes.playground_variants,
            playground_routes.answers,
        ],
        guards=[unforged],
        exception_handlers=HANDLERS,
    )
