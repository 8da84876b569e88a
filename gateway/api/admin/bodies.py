"""Bodies of the administration's routes. Strict, so that a misspelt field is an error."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.tenants.keys import KeyTerms
from gateway.tenants.types import Tenant

__all__ = ("NewTenantBody", "PolicyBody", "PublishBody", "RollbackBody", "RotateBody", "TenantBody")

Reason = Annotated[str, Meta(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]
PolicyText = Annotated[str, Meta(max_length=256 * 1024)]


class TenantBody(Tenant, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Body of `PUT /admin/v1/tenants/{id}`: all of the tenant; what is left out takes its default."""


class NewTenantBody(Tenant, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Body of `POST /admin/v1/tenants`: a tenant, and a key for it where one is to be made."""

    key: KeyTerms | None = None
    """Its first key, which the answer tells once."""


class RotateBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /admin/v1/keys/{id}/rotate`."""

    grace_s: Annotated[float, Meta(ge=0, le=90 * 86_400)] = 86_400.0
    """Seconds for which the old key is still in force."""


class PolicyBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /admin/v1/policies/validate`."""

    text: PolicyText
    """The document, as YAML."""


class PublishBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /admin/v1/policies`."""

    text: PolicyText
    """The document, as YAML."""
    reason: Reason
    """Why, for whoever reads the history."""


class RollbackBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /admin/v1/policies/rollback`."""

    reason: Reason
    """Why, for whoever reads the history."""
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    """Which one to go back to; None is the one before the present one."""
