"""Writes the variants' table of README from the cards of the builds under a state directory.

.venv/bin/trilemma variants bench          # measure afresh, on a machine with nothing else to do
.venv/bin/python benchmarks/variants_table.py
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from backends.models.manifest import Card, Manifest
from backends.models.store import Store
from gateway.settings import load_settings

README = Path(__file__).parents[1] / "README.md"
MARKS = re.compile(r"(<!-- variants:begin -->\n).*?(<!-- variants:end -->)", flags=re.DOTALL)


def main(var: Path) -> None:
    """Measure nothing, compute nothing anew: only put what the cards say between the marks."""
    store = Store(var / "models")
    found = [store.current(variant.name) for variant in load_settings().variants]
    built = [manifest for manifest in found if manifest is not None and manifest.card is not None]
    README.write_text(MARKS.sub(lambda match: f"{match[1]}{table(built)}{match[2]}", README.read_text()))


def table(manifests: list[Manifest]) -> str:
    """The table, with the machine and the task set it was measured on."""
    cards = {manifest.name: manifest.card for manifest in manifests if manifest.card is not None}
    first = next(iter(cards.values()))
    families = list(first.tasks)
    totals = ", ".join(f"{first.tasks[family].total} {family}" for family in families)
    rows = [
        ["variant", *families, "quality", "ms/token", "TTFT ms", "cold start s", "MB"],
        ["---"] + ["---:"] * (len(families) + 5),
        *([f"`{name}`", *_scores(card, families), *_figures(card)] for name, card in cards.items()),
    ]
    lines = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    machine = first.machine
    return (
        f"{lines}\n\n"
        f"Right answers in the task set `{first.task_set}` ({totals}), greedy; quality with its binomial standard "
        f"error. Time to first token at a prompt of {first.prompt_tokens} tokens, one request at a time. Measured "
        f"with `trilemma variants bench` on {machine.cpu}, {machine.cores} cores, "
        f"{machine.memory_bytes / 2**30:.0f} GiB, {machine.system} (`{machine.fingerprint}`); other machines give "
        "other figures.\n"
    )


def _scores(card: Card, families: list[str]) -> list[str]:
    return [str(card.tasks[family].correct) for family in families]


def _figures(card: Card) -> list[str]:
    return [
        f"{card.quality:.2f} ± {card.quality_se:.2f}",
        f"{card.tpot_s * 1000:.1f}",
        f"{card.ttft_s * 1000:.0f}",
        f"{card.cold_start_s:.1f}",
        f"{card.resident_bytes / 1e6:.0f}",
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--var", type=Path, default=Path("var"))
    main(parser.parse_args().var)
