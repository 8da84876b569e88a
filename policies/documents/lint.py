"""What is wrong with a document that can be read: names nobody has, rules nobody reaches, limits nobody can keep."""

from __future__ import annotations

from policies.documents.findings import Finding, Known, Severity
from policies.documents.lint_learned import learned_problems
from policies.documents.lint_names import name_problems
from policies.documents.lint_plans import plan_problems
from policies.documents.lint_rules import rule_problems
from policies.documents.places import path_text, place_of
from policies.documents.schema import decode_document
from policies.documents.yaml_text import parse_yaml
from policies.errors import DocumentError

__all__ = ("errors_among", "lint")


def lint(text: str, *, known: Known, source_name: str) -> tuple[Finding, ...]:
    """Everything to mend in a document, in the order of its lines; nothing where it is in order.

    Args:
        text: The document as edited.
        known: What it is held against.
        source_name: Names the text in errors of reading it.
    """
    try:
        document = decode_document(text, source_name=source_name)
    except DocumentError as error:
        severity, place = Severity.ERROR, (error.line, error.column)
        return (
            Finding(severity=severity, code="schema", path="", line=place[0], column=place[1], message=error.what),
        )
    root, _ = parse_yaml(text, source_name=source_name)
    findings = []
    for check in (name_problems, rule_problems, plan_problems, learned_problems):
        for problem in check(document, known):
            line, column = place_of(root, problem.path)
            findings.append(
                Finding(
                    severity=problem.severity,
                    code=problem.code,
                    path=path_text(problem.path),
                    line=line,
                    column=column,
                    message=problem.message,
                )
            )
    return tuple(sorted(findings, key=lambda finding: (finding.line, finding.column)))


def errors_among(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Those that forbid publishing."""
    return tuple(finding for finding in findings if finding.severity is Severity.ERROR)
