"""Why a policy was not put in force."""

from __future__ import annotations

from policies.documents.findings import Finding

__all__ = ("NoSuchVersionError", "PolicyOpsError", "RefusedError")


class PolicyOpsError(Exception):
    """Root of the tree."""


class NoSuchVersionError(PolicyOpsError):
    """There is no such version, or none to go back to."""


class RefusedError(PolicyOpsError):
    """The lint found errors; the findings say which and where."""

    def __init__(self, findings: tuple[Finding, ...], *, source_name: str) -> None:
        super().__init__(f"{source_name} is not published: {len(findings)} error(s)")
        self.findings = findings
