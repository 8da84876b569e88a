"""`/admin/v1/tenants`: who may ask, and what they may; `/admin/v1/changes`: who changed that."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, delete, get, post, put
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath

from gateway.api.access import needs, principal
from gateway.api.admin.bodies import NewTenantBody, TenantBody
from gateway.api.admin.keys import issued
from gateway.api.admin.work import answered, author_of
from gateway.api.body import body_of
from gateway.api.openapi import documents
from gateway.api.parse import decode_body
from gateway.errors import ForbiddenError, InvalidRequestError
from gateway.services import Services
from gateway.tenants.edit import checked
from gateway.tenants.keys import KeyTerms
from gateway.tenants.store import StoredTenant
from gateway.tenants.types import Role, Tenant

__all__ = (
    "add_tenant",
    "list_changes",
    "list_tenants",
    "remove_tenant",
    "restore_tenant",
    "set_tenant",
    "show_tenant",
)

Asked = Request[Any, Any, State]

MAX_CHANGES = 1000

_ADMIN = needs(Role.ADMIN)
_ANSWER = "The tenant as it is now."


@get("/admin/v1/tenants", opt=documents(None, "All tenants, removed ones too.") | _ADMIN)
async def list_tenants(services: NamedDependency[Services]) -> dict[str, Any]:
    """List tenants."""
    async with answered():
        found = await services.directory.read(lambda store: store.all())
    return {"object": "list", "data": [_shown(tenant) for tenant in found]}


@post(
    "/admin/v1/tenants",
    status_code=200,
    opt=documents(NewTenantBody, "The tenant, and its key where one was made; it is told this once.") | _ADMIN,
)
async def add_tenant(request: Asked, services: NamedDependency[Services]) -> dict[str, Any]:
    """Add a tenant, and its first key where the body has terms for one."""
    body = decode_body(await body_of(request), NewTenantBody)
    tenant, author = _tenant(body), author_of(request, services)
    _keep_a_way_in(request, body.key)
    async with answered():
        checked(tenant, variants=services.catalogue.names)
        stored, key = await services.directory.change(lambda store: store.add(tenant, author=author, key=body.key))
    return _shown(stored) | ({} if key is None else {"key": issued(key)})


@get("/admin/v1/tenants/{tenant_id:str}", opt=documents(None, _ANSWER) | _ADMIN)
async def show_tenant(tenant_id: FromPath[str], services: NamedDependency[Services]) -> dict[str, Any]:
    """Show one tenant."""
    async with answered():
        return _shown(await services.directory.read(lambda store: store.find(tenant_id)))


@put("/admin/v1/tenants/{tenant_id:str}", opt=documents(TenantBody, _ANSWER) | _ADMIN)
async def set_tenant(tenant_id: FromPath[str], request: Asked, services: NamedDependency[Services]) -> dict[str, Any]:
    """Put another document in a tenant's place."""
    tenant = _tenant(decode_body(await body_of(request), TenantBody))
    if tenant.id != tenant_id:
        raise InvalidRequestError(f"`id` is `{tenant.id}`, and the path names `{tenant_id}`", param="id")
    author = author_of(request, services)
    async with answered():
        checked(tenant, variants=services.catalogue.names)
        return _shown(await services.directory.change(lambda store: store.replace(tenant, author=author)))


@delete("/admin/v1/tenants/{tenant_id:str}", status_code=200, opt=documents(None, _ANSWER) | _ADMIN)
async def remove_tenant(
    tenant_id: FromPath[str], request: Asked, services: NamedDependency[Services]
) -> dict[str, Any]:
    """Serve a tenant no more; its keys are refused from now on, its name and its log stay."""
    author = author_of(request, services)
    async with answered():
        return _shown(await services.directory.change(lambda store: store.remove(tenant_id, author=author)))


@post("/admin/v1/tenants/{tenant_id:str}/restore", status_code=200, opt=documents(None, _ANSWER) | _ADMIN)
async def restore_tenant(
    tenant_id: FromPath[str], request: Asked, services: NamedDependency[Services]
) -> dict[str, Any]:
    """Serve a removed tenant again, by the keys it had."""
    author = author_of(request, services)
    async with answered():
        return _shown(await services.directory.change(lambda store: store.restore(tenant_id, author=author)))


@get("/admin/v1/changes", opt=documents(None, "Who changed which tenant or key, and when; latest first.") | _ADMIN)
async def list_changes(request: Asked, services: NamedDependency[Services]) -> dict[str, Any]:
    """Show the audit trail; `limit` says how many, `before` from which number on backwards."""
    limit = min(_number(request, "limit") or 100, MAX_CHANGES)
    before = _number(request, "before")
    async with answered():
        found = await services.directory.read(lambda store: store.changes(limit=limit, before=before))
    return {"object": "list", "data": msgspec.to_builtins(found)}


def _tenant(body: Tenant) -> Tenant:
    """The tenant in a body, as the type that is kept."""
    return Tenant(**{name: getattr(body, name) for name in Tenant.__struct_fields__})


def _shown(stored: StoredTenant) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(stored)
    return {"object": "tenant"} | plain


def _keep_a_way_in(request: Asked, key: KeyTerms | None) -> None:
    """The first tenant ends the time without keys, its maker's included.

    Raises:
        ForbiddenError: Nobody would have a key to go on with.
    """
    if principal(request).key_id is None and (key is None or key.role is not Role.ADMIN):
        raise ForbiddenError(
            'with the first tenant everybody needs a key: have one made for yourself by `"key": {"role": "admin"}`',
            param="key.role",
        )


def _number(request: Asked, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        raise InvalidRequestError(f"`{name}` is a whole number from 1 on", param=name)
    return int(text)
