"""The tables of `docs/observability.md`, made from what the code says. Run it to bring the document up to date.

.venv/bin/python -m tests.observability_tables
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from gateway.metrics.catalogue import FAMILIES
from gateway.telemetry.blame import CAUSES
from gateway.telemetry.names import ATTRIBUTES, SPANS
from gateway.telemetry.request_log import REQUEST_FIELDS
from gateway.telemetry.stages import STAGES

__all__ = ("DOCUMENT", "rewritten", "tables")

DOCUMENT = Path(__file__).parents[1] / "docs" / "observability.md"


def tables() -> dict[str, str]:
    """Each table by the name that stands above it in the document."""
    metrics = (
        (f"`{f.name}`", f.kind, ", ".join(f"`{label}`" for label in f.labels) or "-", f.text) for f in FAMILIES
    )
    return {
        "stages": _named("stage", STAGES),
        "spans": _named("span", SPANS),
        "causes": _named("to blame", CAUSES),
        "attributes": _named("attribute", ATTRIBUTES),
        "metrics": _table(("metric", "type", "labels", "what it tells"), metrics),
        "fields": _named("field", REQUEST_FIELDS),
    }


def rewritten(text: str) -> str:
    """The document with its tables as they have to be."""
    for name, table in tables().items():
        mark = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, count = mark.subn(lambda found, table=table: f"{found[1]}{table}{found[2]}", text)
        if count != 1:
            raise SystemExit(f"{DOCUMENT.name} has no place for the table of {name}")
    return text


def _named(what: str, entries: Mapping[str, str] | Mapping[object, str]) -> str:
    return _table((what, "what it is"), ((f"`{name}`", text) for name, text in entries.items()))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    DOCUMENT.write_text(rewritten(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
