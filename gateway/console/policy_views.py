"""Versions of the policy as rows, and as pages: who put each in force when and why, its text, and what it changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.console.amounts import moment
from gateway.console.facts import Fact
from gateway.policyops.types import Activation, State, Version
from gateway.policyops.watcher import compile_version, estimators_of
from policies.documents.compile import document_of, estimators_used
from policies.documents.diff import unified
from policies.documents.schema import encode_document
from policies.errors import DocumentError
from policies.hints import in_words
from policies.policy import Policy

__all__ = ("ChangedLine", "PolicyView", "VersionRow", "configured_view", "policy_view", "version_rows")


@dataclass(frozen=True, kw_only=True)
class VersionRow:
    """One line of the list."""

    version: str
    name: str
    state: str
    hash: str
    author: str
    reason: str
    estimators: str
    """Those that it decides with."""
    when: str
    """It was last put in force; written down, where it never was."""


@dataclass(frozen=True, kw_only=True)
class ChangedLine:
    """One line of a comparison."""

    kind: Literal["added", "removed", "same"]
    text: str


@dataclass(frozen=True, kw_only=True)
class PolicyView:
    """The page of one version."""

    title: str
    state: str
    facts: tuple[Fact, ...]
    history: tuple[Activation, ...]
    """Latest first."""
    text: str
    before: str
    """Names what it is compared with; empty where there is nothing before it."""
    changed: tuple[ChangedLine, ...]


def version_rows(
    versions: Sequence[Version], history: Sequence[Activation], *, current: str
) -> tuple[VersionRow, ...]:
    """All versions, the newest first; `current` is the hash of what decides in this process."""
    latest = {activation.version: activation for activation in history}
    return tuple(_row(version, latest.get(version.version), current) for version in reversed(versions))


def policy_view(
    version: Version, versions: Sequence[Version], history: Sequence[Activation], *, current: str
) -> PolicyView:
    """The page of a version, compared with the one numbered before it."""
    before = next((v for v in reversed(versions) if v.version < version.version), None)
    name = "" if before is None else f"version {before.version}"
    return PolicyView(
        title=f"{version.name}, version {version.version}",
        state=_state(version, current),
        facts=(
            Fact(name="Hash", value=version.hash, kind="code"),
            Fact(name="Written by", value=version.author),
            Fact(name="Written at", value=moment(version.created_at_s)),
            Fact(name="Why", value=version.reason or "not said"),
            Fact(name="Estimators", value=_estimators(estimators_of(version))),
            *_hints_of(version),
        ),
        history=tuple(activation for activation in reversed(history) if activation.version == version.version),
        text=version.text,
        before=name,
        changed=() if before is None else _changed(before.text, version.text),
    )


def configured_view(policy: Policy) -> PolicyView:
    """The page of the policy that the configuration states, which decides while nothing is published."""
    document = document_of(policy, name="configured", description="The configuration's policy.")
    return PolicyView(
        title="The configuration's policy",
        state="decides",
        facts=(
            Fact(name="Hash", value=policy.hash, kind="code"),
            Fact(name="Estimators", value=_estimators(estimators_used(policy))),
            *_hints(policy),
        ),
        history=(),
        text=encode_document(document),
        before="",
        changed=(),
    )


def _row(version: Version, put: Activation | None, current: str) -> VersionRow:
    return VersionRow(
        version=str(version.version),
        name=version.name,
        state=_state(version, current),
        hash=version.hash,
        author=version.author if put is None else put.author,
        reason=version.reason if put is None else put.reason,
        estimators=_estimators(estimators_of(version)),
        when=moment(version.created_at_s if put is None else put.created_at_s),
    )


def _state(version: Version, current: str) -> str:
    if version.state is not State.PUBLISHED:
        return str(version.state)
    return "decides" if version.hash == current else "published, and not taken up here"


def _estimators(used: str | dict[str, str] | None) -> str:
    """Which estimators decide under a policy, in words."""
    if isinstance(used, dict):
        return "pinned: " + ", ".join(f"{kind} {content[:12]}" for kind, content in used.items())
    words = {"in force": "those in force", "none": "none: cards only", None: "unknown: the text cannot be read"}
    return words.get(used, str(used))


def _hints_of(version: Version) -> tuple[Fact, ...]:
    """Nothing where the text cannot be read."""
    try:
        return _hints(compile_version(version))
    except DocumentError:
        return ()


def _hints(policy: Policy) -> tuple[Fact, ...]:
    """What each hint means under a policy."""
    return tuple(
        Fact(name=f"Hint {name}", value=in_words(weights, policy.formula))
        for name, weights in sorted(policy.priorities.items())
    )


def _changed(before: str, after: str) -> tuple[ChangedLine, ...]:
    """The lines of a unified comparison, without the two that name the files."""
    lines = unified(before, after, before_name="before", after_name="after").splitlines()[2:]
    kinds: dict[str, Literal["added", "removed"]] = {"+": "added", "-": "removed"}
    return tuple(ChangedLine(kind=kinds.get(line[:1], "same"), text=line) for line in lines)
