"""Editing a tenant: fields by their paths, strictly, and held against what is configured."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from gateway.tenants.errors import InvalidTenantError
from gateway.tenants.types import Tenant

__all__ = ("assigned", "checked")


def assigned(tenant: Tenant, values: Mapping[str, object]) -> Tenant:
    """The tenant with other values.

    Args:
        tenant: What the rest is taken from.
        values: By path, such as `quotas.requests_per_min`; None takes a limit, a section or a list away.

    Raises:
        InvalidTenantError: There is no such field, or a value does not fit.
    """
    document: dict[str, Any] = msgspec.to_builtins(tenant)
    for path, value in values.items():
        if path == "id":
            raise InvalidTenantError("`id` cannot be changed: the log knows the tenant by it")
        *sections, last = path.split(".")
        place = document
        for name in sections:
            if place.get(name) is None:
                place[name] = {}
            place = place[name]
            if not isinstance(place, dict):
                raise InvalidTenantError(f"`{name}` in `{path}` has no fields")
        place[last] = value
    try:
        return msgspec.convert(document, Tenant)
    except msgspec.ValidationError as error:
        raise InvalidTenantError(str(error).replace("`$.", "`")) from None


def checked(tenant: Tenant, *, variants: Collection[str]) -> Tenant:
    """The tenant, if all variants that it names are configured.

    Raises:
        InvalidTenantError: One is not.
    """
    unknown = sorted(set(tenant.variants or ()) - set(variants))
    if unknown:
        raise InvalidTenantError(f"variants: `{unknown[0]}` is not configured; known: {', '.join(variants)}")
    return tenant
