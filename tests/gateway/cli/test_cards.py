"""The variants' table says when its figures must not be compared."""

from __future__ import annotations

import msgspec
import pytest

from backends.builder.machine import measured_here, measured_quietly, this_machine
from backends.models.manifest import Card, Conditions, Lineage, Manifest
from backends.types import VariantKind
from gateway.cli.cards import busy_note, card_rows, machine_note
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
        assert len(row) == 11
        assert row[-7:] == ("-",) * 7


@pytest.mark.parametrize(("busy", "said"), [(None, "-"), (False, "quiet"), (True, "busy")])
def test_the_table_says_whether_the_machine_was_busy(busy: bool | None, said: str) -> None:
    conditions = None if busy is None else Conditions(busy=busy, others_cpu=0.5, stolen_cpu=0.0, spread=0.1)
    found = [(a_variant(name="v"), manifest(msgspec.structs.replace(CARD, conditions=conditions)))]
    [row] = card_rows(found)
    assert row[-1] == said
    assert ("Measured while the machine was busy: v." in busy_note(found)) is (busy is True)


def test_a_card_of_a_busy_machine_is_one_still_to_be_measured() -> None:
    for busy in (False, True):
        conditions = Conditions(busy=busy, others_cpu=0.5, stolen_cpu=0.0, spread=0.1)
        card = msgspec.structs.replace(CARD, machine=this_machine(), conditions=conditions)
        assert measured_here(manifest(card))
        assert measured_quietly(manifest(card)) is not busy
    assert not measured_quietly(manifest(None))
