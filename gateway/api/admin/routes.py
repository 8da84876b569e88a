"""The routes of the administration, as one list for the application."""

from __future__ import annotations

from litestar.handlers import HTTPRouteHandler

from gateway.api.admin import keys, learning, policies, tenants, traces, variants

__all__ = ("ADMIN_ROUTES",)

ADMIN_ROUTES: tuple[HTTPRouteHandler, ...] = (
    tenants.list_tenants,
    tenants.add_tenant,
    tenants.show_tenant,
    tenants.set_tenant,
    tenants.remove_tenant,
    tenants.restore_tenant,
    tenants.list_changes,
    keys.list_keys,
    keys.add_key,
    keys.revoke_key,
    keys.rotate_key,
    policies.list_policies,
    policies.show_policy,
    policies.validate_policy,
    policies.publish_policy,
    policies.rollback_policy,
    variants.list_variants,
    learning.show_learning,
    traces.list_traces,
    traces.show_trace,
)
