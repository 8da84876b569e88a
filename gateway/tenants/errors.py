"""Why a change of tenants or keys was not made; `TenantsError` is the root of the tree."""

from __future__ import annotations

__all__ = ("InvalidTenantError", "NoSuchKeyError", "NoSuchTenantError", "TenantExistsError", "TenantsError")


class TenantsError(Exception):
    """Root of the tree; the message says what to do."""


class NoSuchTenantError(TenantsError):
    """There is no tenant of this name, or this version cannot read it."""

    def __init__(self, tenant_id: str) -> None:
        super().__init__(f"there is no tenant `{tenant_id}`; `trilemma tenants list` shows all")


class TenantExistsError(TenantsError):
    """The name is taken; names of removed tenants stay taken, for the log knows them."""

    def __init__(self, tenant_id: str) -> None:
        super().__init__(
            f"there is a tenant `{tenant_id}` already; `trilemma tenants list --all` shows removed ones too"
        )


class InvalidTenantError(TenantsError):
    """A field does not fit; the message names it."""


class NoSuchKeyError(TenantsError):
    """There is no key of this id that could still be changed."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"there is no key `{key_id}` in force; `trilemma tenants keys list` shows all")
