"""A policy document: what a platform team writes, and how its text is read and written.

Text of schema version 1 is read as `policies.documents.version1.DocumentV1` and keeps its meaning.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import UNSET, Meta, UnsetType

from policies.content import stated
from policies.documents.places import Path, place_of
from policies.documents.version1 import DocumentV1, misplaced_keep
from policies.documents.yaml_text import convert_yaml, encode_yaml, parse_yaml
from policies.errors import DocumentError
from policies.objective import Weights
from policies.policy import Budget, Cascade, Exploration, Hedge, Rule, Trial

__all__ = ("SCHEMA_VERSION", "AnyDocument", "PolicyDocument", "decode_document", "encode_document", "type_of")

SCHEMA_VERSION: Literal[2] = 2

ESTIMATORS_EXPECTED = (
    "expected `none` (cards only), or content hashes by kind such as `{answers: HASH, latency: HASH}`; "
    "leave `estimators` out to keep those in force"
)


class PolicyDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole policy document."""

    schema_version: Literal[2]
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
    estimators: Literal["none"] | Annotated[dict[str, str], Meta(min_length=1)] | UnsetType = UNSET
    """Absent: the estimators in force stay. `none`: cards and stated figures only. Or pinned: content hash by kind
    (`answers`, `latency`, `cascade`); a kind that is not named stays as it is in force."""


AnyDocument = PolicyDocument | DocumentV1
"""A document of any schema version that is known here."""


def decode_document(text: str, *, source_name: str) -> AnyDocument:
    """Read edited text, strictly.

    Raises:
        DocumentError: With the line, the column and the key to mend.
    """
    root, plain = parse_yaml(text, source_name=source_name)
    type_ = type_of(plain)
    if type_ is None:
        what = f"schema_version {_shown(plain['schema_version'])} is not known; documents state 2 (or, if older, 1)"
        raise _error(root, ("schema_version",), what, source_name)
    if type_ is PolicyDocument and not _estimators_fit(plain):
        raise _error(root, ("estimators",), ESTIMATORS_EXPECTED, source_name)
    document: AnyDocument = convert_yaml(root, plain, type_, source_name=source_name)
    if isinstance(document, DocumentV1) and (path := misplaced_keep(document)) is not None:
        raise _error(root, path, "`keep` needs schema_version 2", source_name)
    return document


def encode_document(document: AnyDocument) -> str:
    """A document as YAML text: what is at its default is left out; it reads back as the same document."""
    return encode_yaml(stated(document))


def type_of(plain: Any) -> type[PolicyDocument] | type[DocumentV1] | None:  # noqa: ANN401 - any plain value
    """The type of the schema version that a text states; None where that version is not known.

    Text that states none is read as the current version, which requires the key.
    """
    version = plain.get("schema_version", SCHEMA_VERSION) if isinstance(plain, dict) else SCHEMA_VERSION
    known: dict[object, type[PolicyDocument] | type[DocumentV1]] = {SCHEMA_VERSION: PolicyDocument, 1: DocumentV1}
    return known.get(version) if type(version) is int else None


def _estimators_fit(plain: Any) -> bool:  # noqa: ANN401 - any plain value
    """Whether `estimators` is absent, `none` or a mapping with an entry; what is in the mapping is checked later."""
    if not isinstance(plain, dict) or "estimators" not in plain:
        return True
    value = plain["estimators"]
    return bool(value) if isinstance(value, dict) else value == "none"


def _error(root: yaml.Node, path: Path, what: str, source_name: str) -> DocumentError:
    line, column = place_of(root, path)
    return DocumentError(source_name=source_name, line=line, column=column, what=what)


def _shown(value: object) -> str:
    """A value in at most 40 characters."""
    return repr(value)[:40]
