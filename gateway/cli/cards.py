"""The variants' table as a person reads it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from backends.builder.machine import same_machine, this_machine
from backends.models.manifest import Card, Manifest
from backends.types import Variant

__all__ = ("busy_note", "card_rows", "machine_note", "print_table")

_COLUMNS = (
    "variant",
    "kind",
    "engine",
    "build",
    "quality",
    "ms/token",
    "TTFT ms",
    "cold start s",
    "MB",
    "best, worst",
    "machine",
)


_NOTHING = ("-",) * 7


def card_rows(found: Iterable[tuple[Variant, Manifest | None]]) -> list[tuple[str, ...]]:
    """One row per variant; a dash where nothing was built or measured."""
    return [_row(variant, manifest) for variant, manifest in found]


def machine_note(found: Iterable[tuple[Variant, Manifest | None]]) -> str:
    """Whose figures were measured elsewhere and must not be compared; empty where all are of this machine."""
    cards = [(variant.name, manifest.card) for variant, manifest in found if manifest and manifest.card]
    here = this_machine()
    elsewhere = [
        f"{name} on {card.machine.cpu}, {card.machine.cores} cores"
        for name, card in cards
        if not same_machine(card.machine, here)
    ]
    if not elsewhere:
        return ""
    return (
        f"Measured on another machine and not comparable: {'; '.join(elsewhere)}. `trilemma variants bench` measures."
    )


def busy_note(found: Iterable[tuple[Variant, Manifest | None]]) -> str:
    """Which cards were measured while the machine was busy; empty where none was."""
    busy = [variant.name for variant, manifest in found if manifest and manifest.card and manifest.card.busy]
    if not busy:
        return ""
    return (
        f"Measured while the machine was busy: {', '.join(busy)}. `trilemma serve` measures again when it is quiet, "
        "`trilemma variants bench` at once."
    )


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Write the table to standard output."""
    table = Table(*_COLUMNS, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    # Output that goes into a file or a pipe has no width of its own; cells are not to be cut for that.
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _row(variant: Variant, manifest: Manifest | None) -> tuple[str, ...]:
    head = (variant.name, variant.kind.value, variant.engine.value)
    if manifest is None:
        return (*head, "missing" if variant.source.startswith("built:") else "-", *_NOTHING)
    build = manifest.revision if manifest.stage == "final" else f"{manifest.revision} ({manifest.stage})"
    return (*head, build, *(_figures(manifest.card) if manifest.card else _NOTHING))


def _figures(card: Card) -> tuple[str, ...]:
    shares = sorted(card.tasks.items(), key=lambda item: item[1].correct / max(item[1].total, 1), reverse=True)
    return (
        f"{card.quality:.2f} ± {card.quality_se:.2f}",
        f"{card.tpot_s * 1000:.1f}",
        f"{card.ttft_s * 1000:.0f}",
        f"{card.cold_start_s:.1f}",
        f"{card.resident_bytes / 1e6:.0f}",
        f"{shares[0][0]}, {shares[-1][0]}" if shares else "-",
        _conditions(card),
    )


def _conditions(card: Card) -> str:
    """Whether the machine was busy; a dash for cards of releases that did not look."""
    if card.conditions is None:
        return "-"
    return "busy" if card.busy else "quiet"
