"""Putting documents into the store: only what is readable is saved, only what the lint lets through is published."""

from __future__ import annotations

from gateway.policyops.errors import RefusedError
from gateway.policyops.store import PolicyStore
from gateway.policyops.types import Version
from policies.documents.compile import compile_document, document_of
from policies.documents.findings import Finding, Known
from policies.documents.lint import errors_among, lint
from policies.documents.schema import AnyDocument, decode_document
from policies.documents.stored import decode_stored
from policies.policy import Policy

__all__ = ("document_in_force", "publish", "save_draft", "was_in_force")


def publish(
    store: PolicyStore, text: str, *, known: Known, source_name: str, author: str, reason: str, now_s: float
) -> tuple[Version, tuple[Finding, ...]]:
    """Lint a document and put it in force; every process follows within about a second.

    Args:
        store: Where versions are kept.
        text: The document.
        known: The names and figures it is held against.
        source_name: Names the text in messages.
        author: Who publishes it.
        reason: Why, for whoever reads the history.
        now_s: Unix time.

    Returns:
        The version in force, and the warnings and notes, which do not forbid it.

    Raises:
        RefusedError: The lint found errors; nothing was changed.
    """
    findings = lint(text, known=known, source_name=source_name)
    if errors := errors_among(findings):
        raise RefusedError(errors, source_name=source_name)
    name, hash_ = _names(text, source_name)
    return store.publish(name=name, hash_=hash_, text=text, author=author, reason=reason, now_s=now_s), findings


def was_in_force(store: PolicyStore, text: str, *, source_name: str) -> bool:
    """Whether exactly this text is in force, or was.

    Raises:
        DocumentError: It cannot be read.
    """
    name, hash_ = _names(text, source_name)
    return store.was_in_force(name=name, hash_=hash_, text=text)


def save_draft(store: PolicyStore, text: str, *, source_name: str, author: str, reason: str, now_s: float) -> Version:
    """Write a document down without putting it in force.

    Raises:
        DocumentError: It cannot be read.
    """
    name, hash_ = _names(text, source_name)
    return store.save(name=name, hash_=hash_, text=text, author=author, reason=reason, now_s=now_s)


def document_in_force(store: PolicyStore, *, configured: Policy) -> AnyDocument:
    """The published document, or the configuration's policy as one where nothing is published.

    Raises:
        DocumentError: The published text is damaged.
    """
    version = store.active()
    if version is None:
        return document_of(configured, name="configured", description="The configuration's policy.")
    return decode_stored(version.text, source_name=f"policy version {version.version}")


def _names(text: str, source_name: str) -> tuple[str, str]:
    document = decode_document(text, source_name=source_name)
    return document.name, compile_document(document).hash
