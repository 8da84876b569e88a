"""Rules that nobody reaches, that leave nobody, or whose limits nobody can keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from policies.documents.findings import Known, Problem, Severity
from policies.documents.places import Path
from policies.documents.schema import AnyDocument
from policies.policy import Match, Rule, Then

__all__ = ("left_by", "rule_problems", "shadows")

_LISTS = ("tenant", "hint", "service_tier", "language", "needs")


def rule_problems(document: AnyDocument, known: Known) -> Iterator[Problem]:
    """Everything wrong with the rules and what each of them does."""
    checks: tuple[Callable[[Then, Known, Path], Iterator[Problem]], ...] = (_choice, _limits, _quality)
    for index, rule in enumerate(document.rules):
        path: Path = ("rules", index)
        yield from _unreachable(rule, document.rules[:index], path)
        for check in checks:
            yield from check(rule.then, known, (*path, "then"))
        yield from _exploration(document, rule, known, path)


def left_by(then: Then, known: Known) -> list[str]:
    """The configured variants that a rule leaves."""
    included = known.variants if then.include is None else then.include
    return [name for name in known.variants if name in included and name not in then.exclude]


def shadows(earlier: Match, later: Match) -> bool:
    """Whether every request that the later match takes is taken by the earlier one."""
    lists = all(
        theirs is None or (ours is not None and set(ours) <= set(theirs))
        for theirs, ours in ((getattr(earlier, name), getattr(later, name)) for name in _LISTS)
    )
    tags = all(tag in later.tags and set(later.tags[tag]) <= set(values) for tag, values in earlier.tags.items())
    low, high = earlier.min_prompt_tokens, earlier.max_prompt_tokens
    above = low is None or (later.min_prompt_tokens or 0) >= low
    below = high is None or (later.max_prompt_tokens is not None and later.max_prompt_tokens <= high)
    return lists and tags and above and below


def _unreachable(rule: Rule, earlier: tuple[Rule, ...], path: Path) -> Iterator[Problem]:
    match = rule.match
    empty = next((name for name in _LISTS if getattr(match, name) == ()), None)
    empty = empty or next((f"tags.{tag}" for tag, values in match.tags.items() if not values), None)
    low, high = match.min_prompt_tokens, match.max_prompt_tokens
    if empty is not None:
        message = f"rule `{rule.name}` matches nothing: `{empty}` lists nothing"
        yield Problem(code="unreachable-rule", path=(*path, "match", *empty.split(".", 1)), message=message)
    elif low is not None and high is not None and low > high:
        message = f"rule `{rule.name}` matches nothing: min_prompt_tokens {low} > max_prompt_tokens {high}"
        yield Problem(code="unreachable-rule", path=(*path, "match", "min_prompt_tokens"), message=message)
    elif (before := next((r for r in earlier if shadows(r.match, match)), None)) is not None:
        message = f"rule `{rule.name}` is never reached: `{before.name}` above matches all that it does"
        yield Problem(code="unreachable-rule", path=(*path, "name"), message=message)


def _choice(then: Then, known: Known, path: Path) -> Iterator[Problem]:
    both = sorted(set(then.include or ()) & set(then.exclude))
    if both:
        message = f"both included and excluded: {', '.join(both)}"
        yield Problem(code="contradiction", path=(*path, "exclude"), message=message)
    elif not left_by(then, known) and set(then.include or ()) <= set(known.variants):
        part = "exclude" if then.include is None else "include"
        yield Problem(code="nobody-left", path=(*path, part), message="the rule leaves no configured variant")
    barred = sorted(set(then.prefer) & (set(known.variants) - set(left_by(then, known))))
    if barred:
        message = f"prefers what it leaves out: {', '.join(barred)}"
        yield Problem(code="contradiction", path=(*path, "prefer"), message=message, severity=Severity.WARNING)


def _limits(then: Then, _: Known, path: Path) -> Iterator[Problem]:
    limits = then.limits
    if limits.ttft_s is not None and limits.latency_s is not None and limits.ttft_s > limits.latency_s:
        message = (
            f"ttft_s {limits.ttft_s:g} > latency_s {limits.latency_s:g}: the first token cannot come after the last"
        )
        yield Problem(code="contradiction", path=(*path, "limits", "ttft_s"), message=message)


def _quality(then: Then, known: Known, path: Path) -> Iterator[Problem]:
    floor = then.limits.min_quality
    profiles = {name: known.variants[name] for name in left_by(then, known)}
    if floor is None or not profiles or None in profiles.values():
        return
    best, quality = max(((n, p.quality) for n, p in profiles.items() if p is not None), key=lambda pair: pair[1])
    if floor > quality:
        message = f"no variant is known to reach min_quality {floor:g}; the best left is `{best}` with {quality:.3g}"
        yield Problem(
            code="unreachable-floor",
            path=(*path, "limits", "min_quality"),
            message=message,
            severity=Severity.WARNING,
        )


def _exploration(document: AnyDocument, rule: Rule, known: Known, path: Path) -> Iterator[Problem]:
    left = left_by(rule.then, known)
    if document.exploration.epsilon > 0 and len(left) == 1 and len(known.variants) > 1:
        message = f"rule `{rule.name}` leaves `{left[0]}` alone: nothing can be explored under it"
        yield Problem(code="exploration-outside", path=(*path, "then"), message=message, severity=Severity.WARNING)
