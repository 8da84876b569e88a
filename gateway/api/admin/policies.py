"""`/admin/v1/policies`: the versions of the routing policy, checked, put in force and taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from litestar import Request, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath

from gateway.api.access import needs
from gateway.api.admin.bodies import PolicyBody, PublishBody, RollbackBody
from gateway.api.admin.work import answered, author_of
from gateway.api.body import body_of
from gateway.api.openapi import documents
from gateway.api.parse import decode_body
from gateway.errors import NotFoundError
from gateway.policyops.publish import publish
from gateway.policyops.types import Version
from gateway.policyops.watcher import estimators_of
from gateway.services import Services
from gateway.tenants.types import Role
from policies.documents.lint import errors_among, lint

__all__ = ("list_policies", "publish_policy", "rollback_policy", "show_policy", "validate_policy")

T = TypeVar("T")

Asked = Request[Any, Any, State]

MAX_VERSION = 2**31 - 1
SOURCE = "policy"
"""What the text is called in messages."""

_OPERATOR = needs(Role.OPERATOR)


@get("/admin/v1/policies", opt=documents(None, "All versions, and which was in force when.") | _OPERATOR)
async def list_policies(services: NamedDependency[Services]) -> dict[str, Any]:
    """List the versions, without their texts; `in_force` is what this process decides by now."""
    store = services.policy_store
    versions, history = await _run(lambda: (store.versions(), store.history()))
    return {
        "object": "list",
        "in_force": services.policies.current.hash,
        "data": [_described(version) for version in versions],
        "activations": msgspec.to_builtins(history),
    }


@get("/admin/v1/policies/{version:int}", opt=documents(None, "The version, with its text.") | _OPERATOR)
async def show_policy(version: FromPath[int], services: NamedDependency[Services]) -> dict[str, Any]:
    """Show one version."""
    if not 0 < version <= MAX_VERSION:
        raise NotFoundError(f"there is no version {version}")
    found = await _run(lambda: services.policy_store.find(version))
    return _described(found) | {"text": found.text}


@post(
    "/admin/v1/policies/validate",
    status_code=200,
    opt=documents(PolicyBody, "What is wrong with the document, each with its line.") | _OPERATOR,
)
async def validate_policy(request: Asked, services: NamedDependency[Services]) -> dict[str, Any]:
    """Check a document; nothing is changed."""
    body = decode_body(await body_of(request), PolicyBody)
    findings = await _run(lambda: lint(body.text, known=services.known(), source_name=SOURCE))
    return {"ok": not errors_among(findings), "findings": msgspec.to_builtins(findings)}


@post(
    "/admin/v1/policies",
    status_code=200,
    opt=documents(PublishBody, "The version, which is in force everywhere within about a second.") | _OPERATOR,
)
async def publish_policy(request: Asked, services: NamedDependency[Services]) -> dict[str, Any]:
    """Put a document in force, unless it has errors."""
    body, author = decode_body(await body_of(request), PublishBody), author_of(request, services)
    version, findings = await _run(
        lambda: publish(
            services.policy_store,
            body.text,
            known=services.known(),
            source_name=SOURCE,
            author=author.name,
            reason=body.reason,
            now_s=author.now_s,
        )
    )
    return _described(version) | {"findings": msgspec.to_builtins(findings)}


@post(
    "/admin/v1/policies/rollback",
    status_code=200,
    opt=documents(RollbackBody, "The version that is in force again.") | _OPERATOR,
)
async def rollback_policy(request: Asked, services: NamedDependency[Services]) -> dict[str, Any]:
    """Put an earlier version in force again."""
    body, author = decode_body(await body_of(request), RollbackBody), author_of(request, services)
    store = services.policy_store
    return _described(
        await _run(lambda: store.rollback(body.version, author=author.name, reason=body.reason, now_s=author.now_s))
    )


async def _run(work: Callable[[], T]) -> T:
    """Done on a thread: it reads, and often writes, the database."""
    async with answered():
        return await asyncio.to_thread(work)


def _described(version: Version) -> dict[str, Any]:
    """Without its text; `estimators` is `in force`, `none`, or the pinned hashes by kind."""
    plain: dict[str, Any] = msgspec.to_builtins(version)
    plain.pop("text")
    return {"object": "policy_version"} | plain | {"estimators": estimators_of(version)}
