"""Names in a document that nobody has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from policies.documents.findings import Known, Problem, unknown
from policies.documents.places import Path
from policies.documents.schema import AnyDocument
from policies.policy import Rule

__all__ = ("name_problems",)


def name_problems(document: AnyDocument, known: Known) -> Iterator[Problem]:
    """Every name that is unknown, or given twice."""
    for path, variant in _variants(document):
        yield from unknown(variant, known.variants, what="variant", path=path)
    for hint in document.priorities:
        yield from unknown(hint, known.hints, what="hint", path=("priorities", hint))
    for tenant in document.budgets:
        if tenant != "*":
            yield from unknown(tenant, known.tenants, what="tenant", path=("budgets", tenant))
    for index, rule in enumerate(document.rules):
        yield from _conditions(rule, known, path=("rules", index, "match"))
    yield from _repeated((rule.name for rule in document.rules), what="rule", path=("rules",), key="name")
    yield from _repeated(
        (trial.variant for trial in document.trials), what="trial of", path=("trials",), key="variant"
    )
    yield from _repeated(document.fallback, what="fall-back", path=("fallback",))


def _variants(document: AnyDocument) -> Iterator[tuple[Path, str]]:
    for index, rule in enumerate(document.rules):
        for part, names in (("include", rule.then.include or ()), ("exclude", rule.then.exclude)):
            yield from ((("rules", index, "then", part, at), name) for at, name in enumerate(names))
        yield from ((("rules", index, "then", "prefer", name), name) for name in rule.then.prefer)
    if document.cascade is not None:
        yield ("cascade", "first"), document.cascade.first
        yield ("cascade", "then"), document.cascade.then
    for index, trial in enumerate(document.trials):
        yield ("trials", index, "variant"), trial.variant
        if trial.parent is not None:
            yield ("trials", index, "parent"), trial.parent
    yield from ((("fallback", at), name) for at, name in enumerate(document.fallback))


def _conditions(rule: Rule, known: Known, *, path: Path) -> Iterator[Problem]:
    vocabularies: tuple[tuple[str, str, Iterable[str] | None], ...] = (
        ("tenant", "tenant", known.tenants),
        ("hint", "hint", known.hints),
        ("service_tier", "service tier", known.service_tiers),
        ("language", "language", known.languages),
        ("needs", "capability", known.capabilities),
    )
    for field, what, names in vocabularies:
        for at, name in enumerate(getattr(rule.match, field) or ()):
            yield from unknown(name, names, what=what, path=(*path, field, at))


def _repeated(names: Iterable[str], *, what: str, path: Path, key: str | None = None) -> Iterator[Problem]:
    seen = Counter[str]()
    for index, name in enumerate(names):
        seen[name] += 1
        if seen[name] == 2:
            place = (*path, index) if key is None else (*path, index, key)
            yield Problem(code="repeated-name", path=place, message=f"{what} `{name}` is given twice")
