"""A document of schema version 1 as one of version 2: the new text, and what changes in meaning."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import yaml

from policies.documents.schema import SCHEMA_VERSION, PolicyDocument, decode_document, encode_document
from policies.documents.version1 import DocumentV1, ExplorationV1, meant_exploration
from policies.documents.yaml_text import parse_yaml
from policies.errors import DocumentError
from policies.objective import Weights
from policies.policy import Exploration, ExplorationMethod
from policies.priorities import RATIO_PRIORITIES

__all__ = ("Upgrade", "upgraded")


class Upgrade(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a document."""

    text: str
    """As version 2; comments are kept where the text could be edited line by line."""
    changes: tuple[str, ...] = ()
    """What changes in meaning, in sentences; empty for a document that is of version 2 already."""


def upgraded(text: str, *, source_name: str) -> Upgrade:
    """The text as a document of schema version 2.

    Weights are kept as numbers, although they mean something else, except where they repeat the built-in ones of
    version 1: there the built-in ones of version 2 take their place. A stated exploration is kept as it is.

    Raises:
        DocumentError: It cannot be read.
    """
    document = decode_document(text, source_name=source_name)
    if isinstance(document, PolicyDocument):
        return Upgrade(text=text)
    meant = _meant(document)
    edited = _edited(text, document, source_name)
    try:
        if decode_document(edited, source_name=source_name) == meant:
            return Upgrade(text=edited, changes=tuple(_changes(document)))
    except DocumentError:
        pass
    # The text is laid out in a way that cannot be edited line by line: its comments are lost.
    return Upgrade(text=encode_document(meant), changes=tuple(_changes(document)))


def _meant(document: DocumentV1) -> PolicyDocument:
    return PolicyDocument(
        schema_version=SCHEMA_VERSION,
        name=document.name,
        description=document.description,
        priorities={hint: w for hint, w in document.priorities.items() if not _built_in(hint, w)},
        rules=document.rules,
        exploration=Exploration() if _plain(document) else meant_exploration(document.exploration),
        budgets=document.budgets,
        cascade=document.cascade,
        hedge=document.hedge,
        trials=document.trials,
        fallback=document.fallback,
    )


def _changes(document: DocumentV1) -> Iterator[str]:
    yield (
        "Weights are prices: a variant is worth its quality, less `cost / accuracy` times the price of its dollars "
        "and `speed / accuracy` times the price of its seconds. At 1 the cheapest (fastest) variant and the best "
        "one are worth the same on the tenant's own traffic."
    )
    if any(_built_in(hint, weights) for hint, weights in document.priorities.items()):
        yield "Hints that had the built-in weights of version 1 have those of version 2."
    elif not document.priorities:
        yield "Hints have the built-in weights of version 2."
    for place, weights in _weights(document):
        yield f"`{place}` keeps its numbers, which now mean: {_in_words(weights)}. Check them."
    if _plain(document):
        yield "Exploration: Thompson sampling with early answers, where 5 % of the requests were spread evenly."
    else:
        yield "Exploration is kept as it was; leave `exploration` out for the new default, Thompson sampling."
    if document.estimators:
        kinds = ", ".join(f"`{kind}`" for kind in document.estimators)
        yield f"Estimators of version 1 ({kinds}) cannot be read any more: the document keeps those in force."


def _weights(document: DocumentV1) -> Iterator[tuple[str, Weights]]:
    """Weights that the new document states, each with its place."""
    for hint, weights in document.priorities.items():
        if not _built_in(hint, weights):
            yield f"priorities.{hint}", weights
    for rule in document.rules:
        if rule.then.weights is not None:
            yield f"rules.{rule.name}.then.weights", rule.then.weights


def _in_words(weights: Weights) -> str:
    if weights.accuracy == 0.0:
        return "quality does not count at all"
    parts = [
        f"{name} is priced at {weight / weights.accuracy:.2g} times the break-even of the {superlative} and the best"
        for name, weight, superlative in (
            ("money", weights.cost, "cheapest"),
            ("time", weights.speed, "fastest"),
        )
        if weight
    ]
    return " and ".join(parts) or "only quality counts"


def _built_in(hint: str, weights: Weights) -> bool:
    return RATIO_PRIORITIES.get(hint) == weights


def _plain(document: DocumentV1) -> bool:
    """Whether the exploration is the default of version 1, written out or not."""
    return document.exploration == ExplorationV1()


def _edited(text: str, document: DocumentV1, source_name: str) -> str:
    """The text with the changed parts replaced, last one first, so that earlier places stay where they are."""
    root, _ = parse_yaml(text, source_name=source_name)
    edits: list[tuple[int, int, str]] = []
    for key, value in root.value:
        if key.value == "schema_version":
            edits.append((value.start_mark.index, value.end_mark.index, str(SCHEMA_VERSION)))
        elif key.value == "estimators" or (key.value == "exploration" and _plain(document)):
            edits.append(_removal(text, key, value))
        elif key.value == "exploration":
            edits += _completed(document, value)
        elif key.value == "priorities":
            edits += _without_built_in(text, document, key, value)
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _without_built_in(
    text: str, document: DocumentV1, key: yaml.Node, value: yaml.Node
) -> Iterator[tuple[int, int, str]]:
    """Without the hints whose weights were the built-in ones; without the section where none is left."""
    gone = {hint for hint, weights in document.priorities.items() if _built_in(hint, weights)}
    if gone and len(gone) == len(document.priorities):
        yield _removal(text, key, value)
    elif gone:
        yield from (_removal(text, inner, weights) for inner, weights in value.value if inner.value in gone)


def _completed(document: DocumentV1, value: yaml.Node) -> Iterator[tuple[int, int, str]]:
    """What version 1 left to its defaults, written out in front of what it stated."""
    meant, plain = meant_exploration(document.exploration), Exploration()
    stated = {key.value for key, _ in value.value} if isinstance(value, yaml.MappingNode) else set()
    missing = {
        name: getattr(meant, name)
        for name in Exploration.__struct_fields__
        if name not in stated and getattr(meant, name) != getattr(plain, name)
    }
    words = {n: v.value if isinstance(v, ExplorationMethod) else f"{v:g}" for n, v in missing.items()}
    if isinstance(value, yaml.MappingNode) and value.flow_style:
        start = value.start_mark.index + 1
        yield start, start, "".join(f"{name}: {word}, " for name, word in words.items())
    else:
        start = value.start_mark.index
        yield start, start, "".join(f"{n}: {word}\n{' ' * value.start_mark.column}" for n, word in words.items())


def _removal(text: str, key: yaml.Node, value: yaml.Node) -> tuple[int, int, str]:
    """The lines of an entry, with the comment lines directly above it."""
    start = text.rfind("\n", 0, key.start_mark.index) + 1
    while (above := re.search(r"(?:^|(?<=\n))[ \t]*#[^\n]*\n$", text[:start])) is not None:
        start = above.start()
    end = text.find("\n", _end(value))
    return start, len(text) if end < 0 else end + 1, ""


def _end(node: yaml.Node) -> int:
    """Where the last thing written of a node ends; the mark of a block reaches over comments behind it."""
    children = [inner for pair in node.value for inner in pair] if isinstance(node, yaml.MappingNode) else []
    children += node.value if isinstance(node, yaml.SequenceNode) else []
    if not children or getattr(node, "flow_style", False):
        return int(node.end_mark.index)
    return max(map(_end, children))
