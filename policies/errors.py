"""What can go wrong in a decision or a document.

PolicyError
├── DocumentError       a text cannot be read as what it should be; names the line
├── CandidateError      the candidates given cannot be decided between
├── ArtifactError       a stored estimator is not what it should be
└── FeaturesError       logged features cannot be read
"""

from __future__ import annotations

from typing import ClassVar

__all__ = ("ArtifactError", "CandidateError", "DocumentError", "FeaturesError", "PolicyError")


class PolicyError(Exception):
    """Root of the tree."""

    error_type: ClassVar[str] = "policy_error"
    """Stable lower-case name."""


class DocumentError(PolicyError):
    """A text is not a valid document; the message reads `source:line:column: what`."""

    error_type = "document_error"

    def __init__(self, *, source_name: str, line: int, column: int, what: str) -> None:
        super().__init__(f"{source_name}:{line}:{column}: {what}")
        self.source_name = source_name
        self.line = line
        """Counted from 1."""
        self.column = column
        """Counted from 1."""
        self.what = what


class CandidateError(PolicyError):
    """The candidates are not distinct."""

    error_type = "candidate_error"


class ArtifactError(PolicyError):
    """A stored estimator has the wrong kind, layout, shape or range; the message names the part."""

    error_type = "artifact_error"


class FeaturesError(PolicyError):
    """Logged features are damaged, or of another layout."""

    error_type = "features_error"
