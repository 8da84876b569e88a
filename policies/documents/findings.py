"""What the lint knows of the world around a document, and what it finds."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from policies.documents.places import Path
from policies.features.language import LANGUAGES
from policies.priorities import DEFAULT_PRIORITIES
from policies.types import Profile

__all__ = ("Finding", "Known", "Problem", "Severity", "unknown")

SERVICE_TIERS = ("auto", "default", "flex", "priority")
ESTIMATORS = ("answers", "latency", "cascade")


class Severity(StrEnum):
    """Whether a document can be published."""

    ERROR = "error"
    """It would not do what it says: publishing is refused."""
    WARNING = "warning"
    """It does what it says, and that is probably not what was meant."""
    NOTE = "note"
    """Nothing to mend: it says what the document means where that is easily overlooked."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to mend, and where."""

    severity: Severity
    code: str
    """Stable name of the check, such as `unknown-variant`."""
    path: str
    """Such as `rules[0].then.include`."""
    line: int
    """Counted from 1."""
    column: int
    """Counted from 1."""
    message: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A finding before its place in the text is known."""

    code: str
    path: Path
    message: str
    severity: Severity = Severity.ERROR


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """The names and figures a document is held against. None: not known, so not checked."""

    variants: Mapping[str, Profile | None]
    """The configured variants; with None those of which no figures are known yet."""
    unpriced: frozenset[str] = frozenset()
    """Variants without a price."""
    tenants: frozenset[str] | None = None
    capabilities: frozenset[str] | None = None
    estimators: frozenset[str] | None = None
    """Content hashes of the estimators that are stored."""
    hints: tuple[str, ...] = tuple(DEFAULT_PRIORITIES)
    service_tiers: tuple[str, ...] = SERVICE_TIERS
    languages: tuple[str, ...] = (*LANGUAGES, "und")
    estimator_kinds: tuple[str, ...] = ESTIMATORS


def unknown(name: str, known: Iterable[str] | None, *, what: str, path: Path) -> Iterable[Problem]:
    """A problem for a name that nobody has, with the one probably meant."""
    names = None if known is None else sorted(known)
    if names is None or name in names:
        return ()
    meant = difflib.get_close_matches(name, names, n=1)
    rest = f"; did you mean `{meant[0]}`?" if meant else f"; known: {', '.join(names) or 'none'}"
    return (Problem(code=f"unknown-{what.replace(' ', '-')}", path=path, message=f"unknown {what} `{name}`{rest}"),)
