"""Stored manifests stay readable."""

import json
from pathlib import Path

import msgspec
import pytest

from backends.models.manifest import SCHEMA_VERSION, Manifest

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_every_schema_version_ever_written_is_read(version: int) -> None:
    manifest = msgspec.json.decode((GOLDEN / f"manifest-{version}.json").read_bytes(), type=Manifest)
    assert manifest.schema_version == version
    assert manifest.lineage.parameters["layers_removed"] == [12, 13, 14, 15]
    assert manifest.card is not None
    assert manifest.card.tasks["capitals"].correct == 12
    assert not manifest.card.busy


def test_fields_of_a_newer_release_are_ignored() -> None:
    stored = json.loads((GOLDEN / "manifest-1.json").read_bytes())
    stored["signed_by"] = stored["card"]["energy_j"] = "something new"
    assert msgspec.convert(stored, Manifest).name == "distilled"


def test_what_came_before_source_and_stage_counts_as_final() -> None:
    stored = json.loads((GOLDEN / "manifest-1.json").read_bytes())
    del stored["source"], stored["stage"]
    manifest = msgspec.convert(stored, Manifest)
    assert (manifest.source, manifest.stage) == ("", "final")
