"""Which schema version a document is of, and which estimators it decides with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policies.documents.findings import Known, Problem, Severity, unknown
from policies.documents.schema import AnyDocument, PolicyDocument
from policies.documents.version1 import DocumentV1

__all__ = ("learned_problems",)

OLD = (
    "schema version 1: weights count shares of the cheapest and the fastest candidate, as they always did; "
    "`trilemma policy upgrade` prints it as version 2, whose weights are prices"
)


def learned_problems(document: AnyDocument, known: Known) -> Iterator[Problem]:
    """What the document says of estimators, and those that it cannot have."""
    if isinstance(document, DocumentV1):
        yield Problem(code="old-version", path=("schema_version",), message=OLD, severity=Severity.NOTE)
        if document.estimators:
            kinds = ", ".join(f"`{kind}`" for kind in document.estimators)
            message = f"estimators of schema version 1 ({kinds}) cannot be read any more: those in force are used"
            yield Problem(
                code="unreadable-estimators", path=("estimators",), message=message, severity=Severity.WARNING
            )
    elif isinstance(document.estimators, dict):
        yield from _pinned(document, document.estimators, known)
    else:
        none = document.estimators == "none"
        message = "this document uses cards only: `estimators` is `none`"
        if not none:
            message = "this document keeps the estimators in force: `estimators` is absent"
        code = "estimators-none" if none else "estimators-in-force"
        yield Problem(code=code, path=("estimators",), message=message, severity=Severity.NOTE)


def _pinned(document: PolicyDocument, estimators: Mapping[str, str], known: Known) -> Iterator[Problem]:
    for kind, content in estimators.items():
        yield from unknown(kind, known.estimator_kinds, what="estimator kind", path=("estimators", kind))
        yield from unknown(content, known.estimators, what="estimator", path=("estimators", kind))
    cascade = document.cascade
    threshold_is_learned = cascade is not None and cascade.threshold is None
    used = [kind for kind in known.estimator_kinds if kind != "cascade" or threshold_is_learned]
    rest = [kind for kind in used if kind not in estimators]
    if rest:
        message = f"this document pins some estimators and keeps the one in force for {', '.join(rest)}"
        yield Problem(code="estimators-in-force", path=("estimators",), message=message, severity=Severity.NOTE)
