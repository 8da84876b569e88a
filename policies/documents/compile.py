"""From a document to the policy that decisions read, and back."""

from __future__ import annotations

import msgspec

from policies.content import content_hash
from policies.documents.schema import SCHEMA_VERSION, PolicyDocument
from policies.policy import Policy
from policies.priorities import DEFAULT_PRIORITIES

__all__ = ("compile_document", "document_of")

_SHARED = tuple(name for name in PolicyDocument.__struct_fields__ if name in Policy.__struct_fields__)


def compile_document(document: PolicyDocument, *, stored_hash: str | None = None) -> Policy:
    """The policy a document comes to.

    Every hint has weights afterwards, so that no request can meet one without. Name, description, comments and
    formatting change nothing that a decision reads, and so nothing of the hash.

    Args:
        document: A document that was read.
        stored_hash: The hash it was published under, which names it for ever; computed when absent.
    """
    parts = {name: getattr(document, name) for name in _SHARED}
    policy = Policy(hash="", **(parts | {"priorities": DEFAULT_PRIORITIES | document.priorities}))
    return msgspec.structs.replace(policy, hash=stored_hash or content_hash(policy))


def document_of(policy: Policy, *, name: str, description: str = "") -> PolicyDocument:
    """A document that compiles to this policy."""
    parts = {field: getattr(policy, field) for field in _SHARED}
    return PolicyDocument(schema_version=SCHEMA_VERSION, name=name, description=description, **parts)
