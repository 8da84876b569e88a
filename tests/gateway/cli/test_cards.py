"""The variants' table says when its figures must not be compared."""

from __future__ import annotations

import msgspec

from backends.builder.machine import measured_here, this_machine
from backends.models.manifest import Card, Lineage, Manifest
from backends.types import VariantKind
from gateway.cli.cards import card_rows, machine_note
from tests.gateways import CARD
from tests.model_helpers import a_variant


def manifest(card: Card | None) -> Manifest:
    return Manifest(
        name="v",
        kind=VariantKind.FULL,
        revision="0123456789ab",
        format="gguf",
        lineage=Lineage(recipe="source"),
        files=(),
        created_at_s=0.0,
        card=card,
    )


def test_a_card_of_another_machine_is_named_as_such() -> None:
    elsewhere = msgspec.structs.replace(this_machine(), fingerprint="somewhere", cpu="Other CPU", cores=96)
    found = [(a_variant(name="v"), manifest(msgspec.structs.replace(CARD, machine=elsewhere)))]
    assert "v on Other CPU, 96 cores" in machine_note(found)
    assert not measured_here(found[0][1])


def test_cards_of_this_machine_need_no_note() -> None:
    found = [(a_variant(name="v"), manifest(msgspec.structs.replace(CARD, machine=this_machine())))]
    assert machine_note(found) == ""
    assert measured_here(found[0][1])


def test_what_was_never_measured_has_a_row_of_dashes() -> None:
    variant = a_variant(name="v")
    assert not measured_here(manifest(None))
    for row in card_rows([(variant, None), (variant, manifest(None))]):
        assert len(row) == 10
        assert row[-6:] == ("-",) * 6
