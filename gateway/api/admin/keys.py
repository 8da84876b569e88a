"""`/admin/v1/tenants/{id}/keys` and `/admin/v1/keys/{id}`: what callers prove themselves by."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath

from gateway.api.access import needs
from gateway.api.admin.bodies import RotateBody
from gateway.api.admin.work import answered, author_of
from gateway.api.body import body_of
from gateway.api.openapi import documents
from gateway.api.parse import decode_body
from gateway.services import Services
from gateway.tenants.keys import IssuedKey, KeyRecord, KeyTerms
from gateway.tenants.types import Role

__all__ = ("add_key", "issued", "list_keys", "revoke_key", "rotate_key")

Asked = Request[Any, Any, State]

_ADMIN = needs(Role.ADMIN)
_MADE = "The key, which is told this once, and its record."


@get("/admin/v1/tenants/{tenant_id:str}/keys", opt=documents(None, "All keys there ever were.") | _ADMIN)
async def list_keys(tenant_id: FromPath[str], services: NamedDependency[Services]) -> dict[str, Any]:
    """List a tenant's keys, without anything that opens something."""
    async with answered():
        found = await services.directory.read(lambda store: store.keys.all(tenant=tenant_id))
    return {"object": "list", "data": [_shown(record) for record in found]}


@post("/admin/v1/tenants/{tenant_id:str}/keys", status_code=200, opt=documents(KeyTerms, _MADE) | _ADMIN)
async def add_key(tenant_id: FromPath[str], request: Asked, services: NamedDependency[Services]) -> dict[str, Any]:
    """Make a key for a tenant."""
    terms, author = decode_body(await body_of(request), KeyTerms), author_of(request, services)
    async with answered():
        return issued(await services.directory.change(lambda store: store.keys.add(tenant_id, terms, author=author)))


@delete("/admin/v1/keys/{key_id:str}", status_code=200, opt=documents(None, "The key's record.") | _ADMIN)
async def revoke_key(key_id: FromPath[str], request: Asked, services: NamedDependency[Services]) -> dict[str, Any]:
    """End a key now."""
    author = author_of(request, services)
    async with answered():
        return _shown(await services.directory.change(lambda store: store.keys.revoke(key_id, author=author)))


@post("/admin/v1/keys/{key_id:str}/rotate", status_code=200, opt=documents(RotateBody, _MADE) | _ADMIN)
async def rotate_key(key_id: FromPath[str], request: Asked, services: NamedDependency[Services]) -> dict[str, Any]:
    """Make a key that follows another, which ends after a grace period."""
    body, author = decode_body(await body_of(request), RotateBody), author_of(request, services)
    async with answered():
        return issued(
            await services.directory.change(
                lambda store: store.keys.rotate(key_id, grace_s=body.grace_s, author=author)
            )
        )


def issued(key: IssuedKey) -> dict[str, Any]:
    """A new key, its text included."""
    return _shown(key.record) | {"key": key.text}


def _shown(record: KeyRecord) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(record)
    return {"object": "key"} | plain
