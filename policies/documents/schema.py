"""A policy document: what a platform team writes, and the one type behind edited and stored text."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from policies.content import stated
from policies.documents.yaml_text import decode_yaml, encode_yaml
from policies.objective import Weights
from policies.policy import Budget, Cascade, Exploration, Hedge, Rule, Trial

__all__ = ("SCHEMA_VERSION", "PolicyDocument", "decode_document", "encode_document")

SCHEMA_VERSION: Literal[1] = 1


class PolicyDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole policy document."""

    schema_version: Literal[1]
    """Version of this schema; every document states it."""
    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    """What people call the policy; versions of it share the name."""
    description: Annotated[str, Meta(max_length=2000)] = ""
    """What it is for, in a sentence or two."""
    priorities: dict[str, Weights] = {}
    """Weights behind a named hint (`speed`, `cost`, `accuracy`, `balanced`), replacing the built-in ones."""
    rules: tuple[Rule, ...] = ()
    """Read from the top; the first that matches a request applies, alone."""
    exploration: Exploration = Exploration()
    """How much is tried that is not thought best, so that the log can teach."""
    budgets: dict[str, Budget] = {}
    """By tenant; `*` is every tenant without one of its own, each for itself."""
    cascade: Cascade | None = None
    """Start with a cheaper variant and escalate; only where a rule allows it."""
    hedge: Hedge | None = None
    """Send a duplicate of a slow request; only where a rule allows it."""
    trials: tuple[Trial, ...] = ()
    """New variants, tried a bounded number of times."""
    fallback: tuple[str, ...] = ()
    """Order in which variants are taken when estimates cannot be trusted."""
    estimators: dict[str, str] = {}
    """Content hash of each learned estimator by kind (`quality`, `length`, `latency`); else the measured card."""


def decode_document(text: str, *, source_name: str) -> PolicyDocument:
    """Read edited text, strictly.

    Raises:
        DocumentError: With the line, the column and the key to mend.
    """
    return decode_yaml(text, PolicyDocument, source_name=source_name)


def encode_document(document: PolicyDocument) -> str:
    """A document as YAML text: what is at its default is left out; it reads back as the same document."""
    return encode_yaml(stated(document))
