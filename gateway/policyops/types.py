"""Versions of policy documents, and how they came into force."""

from __future__ import annotations

from enum import StrEnum

import msgspec

__all__ = ("Action", "Activation", "State", "Version")


class State(StrEnum):
    """Where a version stands. `canary` will join them."""

    DRAFT = "draft"
    PUBLISHED = "published"
    RETIRED = "retired"


class Action(StrEnum):
    """How a version came into force."""

    PUBLISH = "publish"
    ROLLBACK = "rollback"


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a policy document, as it was written down."""

    version: int
    name: str
    hash: str
    """Of its meaning; decisions made by it carry it."""
    text: str
    author: str
    reason: str
    created_at_s: float
    """Unix time."""
    state: State = State.DRAFT


class Activation(msgspec.Struct, frozen=True, kw_only=True):
    """One change of what is in force: who, when and why."""

    activation: int
    version: int
    action: Action
    author: str
    reason: str
    created_at_s: float
    """Unix time."""
