"""From a document to the policy that decisions read, and back."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from policies.content import content_hash
from policies.documents.schema import SCHEMA_VERSION, AnyDocument, PolicyDocument
from policies.documents.version1 import DocumentV1, compile_v1, document_v1_of
from policies.policy import Formula, LearnedUse, Policy
from policies.priorities import DEFAULT_PRIORITIES

__all__ = ("compile_document", "document_of", "estimators_used")

_SHARED = ("priorities", "rules", "exploration", "budgets", "cascade", "hedge", "trials", "fallback")
"""Fields of a document that a policy has under the same name and type."""


def compile_document(document: AnyDocument, *, stored_hash: str | None = None) -> Policy:
    """The policy a document comes to.

    Every hint has weights afterwards, so that no request can meet one without. Name, description, comments and
    formatting change nothing that a decision reads, and so nothing of the hash.

    Args:
        document: A document that was read, of any schema version.
        stored_hash: The hash it was published under, which names it for ever; computed when absent.
    """
    if isinstance(document, DocumentV1):
        return compile_v1(document, stored_hash=stored_hash)
    parts: dict[str, Any] = {name: getattr(document, name) for name in _SHARED}
    parts["priorities"] = DEFAULT_PRIORITIES | document.priorities
    pinned = document.estimators if isinstance(document.estimators, dict) else {}
    learning = LearnedUse.NONE if document.estimators == "none" else LearnedUse.IN_FORCE
    policy = Policy(hash="", estimators=pinned, learning=learning, **parts)
    return msgspec.structs.replace(policy, hash=stored_hash or content_hash(policy))


def estimators_used(policy: Policy) -> str | dict[str, str]:
    """Which estimators a policy decides with: `in force`, `none`, or the hashes that it pins, by kind."""
    return "none" if policy.learning is LearnedUse.NONE else policy.estimators or "in force"


def document_of(policy: Policy, *, name: str, description: str = "") -> AnyDocument:
    """A document that compiles to this policy."""
    if policy.formula is Formula.RATIO:
        return document_v1_of(policy, name=name, description=description)
    parts: dict[str, Any] = {field: getattr(policy, field) for field in _SHARED}
    estimators: Literal["none"] | dict[str, str] | UnsetType = policy.estimators or UNSET
    if policy.learning is LearnedUse.NONE:
        estimators = "none"
    return PolicyDocument(
        schema_version=SCHEMA_VERSION, name=name, description=description, estimators=estimators, **parts
    )
