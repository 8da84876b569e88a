"""What changed between two documents: in meaning, path by path, and as text, line by line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from policies.documents.compile import compile_document, estimators_used
from policies.documents.schema import AnyDocument

__all__ = ("Change", "changes", "unified")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One difference in meaning."""

    path: str
    """Such as `rules.legal.then.limits.min_quality`; rules go by their names."""
    kind: Literal["added", "removed", "changed", "reordered"]
    before: Any = None
    """As plain values; None where there was nothing."""
    after: Any = None
    """As plain values; None where there is nothing any more."""

    def __str__(self) -> str:
        """In words."""
        match self.kind:
            case "added":
                return f"{self.path}: added {_text(self.after)}"
            case "removed":
                return f"{self.path}: removed {_text(self.before)}"
            case "reordered":
                return f"{self.path}: order changed from {_text(self.before)} to {_text(self.after)}"
            case _:
                return f"{self.path}: {_text(self.before)} -> {_text(self.after)}"


def changes(before: AnyDocument, after: AnyDocument) -> tuple[Change, ...]:
    """Every difference in meaning, in the order of the schema; formatting and comments make none.

    Documents of different schema versions are compared by the policies that they come to.
    """
    return (*_compared(_by_name(before), _by_name(after), path=""), *_reordered(before, after))


def unified(before: str, after: str, *, before_name: str, after_name: str) -> str:
    """The text as a unified diff; empty when nothing differs."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), fromfile=before_name, tofile=after_name, lineterm=""
    )
    return "\n".join(lines)


def _by_name(document: AnyDocument) -> dict[str, Any]:
    """What it comes to as plain values, rules and trials by name: an inserted one shifts no others."""
    policy = compile_document(document)
    plain: dict[str, Any] = {name: getattr(document, name) for name in ("schema_version", "name", "description")}
    plain |= {"formula": policy.formula.value} | msgspec.to_builtins(policy) | {"estimators": estimators_used(policy)}
    del plain["hash"], plain["learning"]
    plain["rules"] = {rule.pop("name"): rule for rule in plain["rules"]}
    plain["trials"] = {trial.pop("variant"): trial for trial in plain["trials"]}
    return plain


def _reordered(before: AnyDocument, after: AnyDocument) -> Iterator[Change]:
    was, now = [rule.name for rule in before.rules], [rule.name for rule in after.rules]
    kept_was, kept_now = [n for n in was if n in now], [n for n in now if n in was]
    if kept_was != kept_now:
        yield Change(path="rules", kind="reordered", before=kept_was, after=kept_now)


def _compared(before: Any, after: Any, *, path: str) -> Iterator[Change]:  # noqa: ANN401 - any plain values
    if before == after:
        return
    if before is None:
        yield Change(path=path, kind="added", after=_said(after))
    elif after is None:
        yield Change(path=path, kind="removed", before=_said(before))
    elif isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            yield from _compared(before.get(key), after.get(key), path=f"{path}.{key}".lstrip("."))
    else:
        yield Change(path=path, kind="changed", before=before, after=after)


def _said(value: Any) -> Any:  # noqa: ANN401 - any plain value
    """Without what says nothing."""
    if isinstance(value, dict):
        inner = {key: _said(part) for key, part in value.items()}
        return {key: part for key, part in inner.items() if part not in (None, False, {}, [], ())}
    return value


def _text(value: Any) -> str:  # noqa: ANN401 - any plain value
    if isinstance(value, str):
        return value or '""'
    return msgspec.json.encode(value).decode()
