"""Sections of a document that cannot do what they promise: fall-back, exploration, prices, cascade, trials."""

from __future__ import annotations

from collections.abc import Iterator

from policies.documents.findings import Known, Problem, Severity
from policies.documents.lint_rules import left_by
from policies.documents.schema import AnyDocument
from policies.policy import ExplorationMethod, Match

__all__ = ("plan_problems",)

_NOT_READ_BY = {
    ExplorationMethod.THOMPSON: {"temperature"},
    ExplorationMethod.EPSILON_SOFTMAX: {"draws", "scale", "caution", "first"},
}


def plan_problems(document: AnyDocument, known: Known) -> Iterator[Problem]:
    """Everything wrong with what stands beside the rules."""
    if not document.fallback:
        message = "no fall-back: give the order in which variants are taken when estimates cannot be trusted"
        yield Problem(code="no-fallback", path=("fallback",), message=message)
    yield from _exploration(document)
    yield from _prices(document, known)
    yield from _cascade(document, known)
    yield from _hedge(document)
    yield from _trials(document, known)


def _exploration(document: AnyDocument) -> Iterator[Problem]:
    """Figures that the method does not read."""
    stated_, unused = document.exploration, _NOT_READ_BY[document.exploration.method]
    plain = type(stated_)()
    for name in unused & set(stated_.__struct_fields__):
        if getattr(stated_, name) != getattr(plain, name):
            message = f"`{name}` is not read by `{stated_.method}`"
            yield Problem(code="no-effect", path=("exploration", name), message=message, severity=Severity.WARNING)


def _prices(document: AnyDocument, known: Known) -> Iterator[Problem]:
    """A variant that costs nobody knows what cannot be weighed, limited or budgeted; the weights are always there."""
    barred = set(known.variants) - _reachable(document, known)
    names = ", ".join(sorted(known.unpriced - barred))
    if names:
        message = f"no price is known of {names}: cost cannot be weighed, limited or budgeted"
        yield Problem(code="unknown-price", path=("budgets",) if document.budgets else ("rules",), message=message)


def _cascade(document: AnyDocument, known: Known) -> Iterator[Problem]:
    cascade = document.cascade
    allowing = [(index, rule) for index, rule in enumerate(document.rules) if rule.then.cascade]
    if cascade is None:
        for index, rule in allowing:
            message = f"rule `{rule.name}` allows a cascade, but the document has no `cascade`"
            yield Problem(code="no-cascade", path=("rules", index, "then", "cascade"), message=message)
        return
    if cascade.first == cascade.then:
        message = f"a cascade from `{cascade.first}` to itself"
        yield Problem(code="contradiction", path=("cascade", "then"), message=message)
    if not allowing:
        message = "no rule allows the cascade (`then: {cascade: true}`)"
        yield Problem(code="no-effect", path=("cascade",), message=message, severity=Severity.WARNING)
    for index, rule in allowing:
        barred = [
            n for n in (cascade.first, cascade.then) if n in known.variants and n not in left_by(rule.then, known)
        ]
        if barred:
            message = f"rule `{rule.name}` allows the cascade and leaves out {', '.join(barred)}"
            yield Problem(code="contradiction", path=("rules", index, "then", "cascade"), message=message)


def _hedge(document: AnyDocument) -> Iterator[Problem]:
    allowing = [(index, rule) for index, rule in enumerate(document.rules) if rule.then.hedge]
    if document.hedge is None:
        for index, rule in allowing:
            message = f"rule `{rule.name}` allows hedging, but the document has no `hedge`"
            yield Problem(code="no-hedge", path=("rules", index, "then", "hedge"), message=message)
    elif not allowing:
        message = "no rule allows hedging (`then: {hedge: true}`)"
        yield Problem(code="no-effect", path=("hedge",), message=message, severity=Severity.WARNING)


def _trials(document: AnyDocument, known: Known) -> Iterator[Problem]:
    reachable = _reachable(document, known)
    for index, trial in enumerate(document.trials):
        path = ("trials", index)
        if trial.parent == trial.variant:
            message = f"`{trial.variant}` is its own parent"
            yield Problem(code="contradiction", path=(*path, "parent"), message=message)
        if trial.parent is None:
            message = f"`{trial.variant}` has no parent to inherit estimates from and starts from its card alone"
            yield Problem(code="no-parent", path=path, message=message, severity=Severity.WARNING)
        if trial.variant in known.variants and trial.variant not in reachable:
            message = f"every rule leaves `{trial.variant}` out: it can never be tried"
            yield Problem(code="exploration-outside", path=(*path, "variant"), message=message)
    if sum(trial.share for trial in document.trials) > 1:
        message = "the shares of all trials together exceed all traffic"
        yield Problem(code="contradiction", path=("trials",), message=message)


def _reachable(document: AnyDocument, known: Known) -> set[str]:
    """Variants that some request may get: by a rule, or under no rule where no rule takes every request."""
    if not any(rule.match == Match() for rule in document.rules):
        return set(known.variants)
    return {name for rule in document.rules for name in left_by(rule.then, known)}
