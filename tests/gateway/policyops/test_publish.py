"""Only what the lint lets through comes into force, held against what is configured, measured and stored here."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from backends.models.store import Store
from gateway.paths import StatePaths
from gateway.policyops.errors import RefusedError
from gateway.policyops.known import known_here
from gateway.policyops.publish import document_in_force, publish, save_draft, was_in_force
from gateway.policyops.store import PolicyStore
from gateway.policyops.types import State
from gateway.policyops.watcher import compile_version, estimators_of
from gateway.routing.policy import policy_from
from gateway.settings import load_settings
from policies.documents.compile import compile_document
from policies.documents.findings import Severity
from policies.documents.lint import lint
from policies.errors import DocumentError
from policies.policy import Formula
from tests.gateways import CARD
from tests.model_helpers import a_variant, publish_bytes
from tests.policy_documents import KNOWN, a_document, open_store

STORED = "00112233aabb00112233aabb00112233"
FIELDS = {"source_name": "p.yaml", "author": "ada", "reason": "why", "now_s": 1.0}


def test_a_sound_document_is_in_force_under_the_hash_of_its_meaning(tmp_path: Path) -> None:
    with open_store(tmp_path / "db") as store:
        version, findings = publish(store, a_document(), known=KNOWN, **FIELDS)
        assert (version.state, version.name) == (State.PUBLISHED, "p")
        assert [finding.severity for finding in findings] == [Severity.NOTE]
        policy = compile_version(version)
        assert policy == compile_document(document_in_force(store, configured=policy))


@pytest.mark.parametrize("text", [a_document(fallback="[nobody]"), "name: x\n", "{"])
def test_a_refused_document_leaves_no_trace(text: str, tmp_path: Path) -> None:
    with open_store(tmp_path / "db") as store:
        with pytest.raises(RefusedError) as caught:
            publish(store, text, known=KNOWN, **FIELDS)
        assert len(caught.value.findings) == 1
        assert (store.versions(), store.history()) == ([], [])


def test_a_draft_may_have_errors_but_must_be_readable(tmp_path: Path) -> None:
    with open_store(tmp_path / "db") as store:
        assert save_draft(store, a_document(fallback="[nobody]"), **FIELDS).state is State.DRAFT
        with pytest.raises(DocumentError):
            save_draft(store, "name: x\n", **FIELDS)
        assert len(store.versions()) == 1


def test_a_text_of_version_1_keeps_the_hash_it_was_published_under(tmp_path: Path) -> None:
    """So that a deployment that publishes its file once does not publish it again after an upgrade."""
    text = "schema_version: 1\nname: p\nfallback: [quantized]\n"
    with open_store(tmp_path / "db") as store:
        version, _ = publish(store, text, known=KNOWN, **FIELDS)
        assert version.hash == "04d47f0258b4"
        assert was_in_force(store, text, source_name="p.yaml")
        assert compile_version(version).formula is Formula.RATIO


@pytest.mark.parametrize(
    ("section", "used"),
    [
        ("", "in force"),
        ("estimators: none\n", "none"),
        ("estimators: {answers: 00112233aabb}\n", {"answers": "00112233aabb"}),
    ],
)
def test_a_version_says_which_estimators_it_uses(section: str, used: object, tmp_path: Path) -> None:
    with open_store(tmp_path / "db") as store:
        version, _ = publish(store, a_document() + section, known=KNOWN, **FIELDS)
        assert estimators_of(version) == used
        assert estimators_of(msgspec.structs.replace(version, text="{")) is None


def test_without_a_published_document_the_configured_policy_is_one(tmp_path: Path) -> None:
    with open_store(tmp_path / "db") as store:
        configured = policy_from(load_settings())
        assert compile_document(document_in_force(store, configured=configured)) == configured


def test_documents_are_held_against_what_was_configured_measured_and_fitted_here(tmp_path: Path) -> None:
    paths = StatePaths(root=tmp_path)
    store = Store(paths.models)
    revision = publish_bytes(store, b"weights", variant=a_variant("quantized")).revision
    store.write_card("quantized", CARD, revision=revision)

    known = known_here(load_settings(), paths, estimators=frozenset({STORED}))
    assert list(known.variants) == ["quantized", "full", "distilled"]
    measured = known.variants["quantized"]
    assert measured is not None
    assert (measured.quality, known.variants["full"]) == (0.75, None)

    def codes(section: str) -> list[str]:
        findings = lint(a_document() + section, known=known, source_name="p")
        return [finding.code for finding in findings if finding.severity is not Severity.NOTE]

    assert codes(f"estimators: {{answers: {STORED}}}\n") == []
    assert codes("estimators: {answers: ffffffffffff}\n") == ["unknown-estimator"]
    assert codes("rules: [{name: a, then: {include: [quantized, full], limits: {min_quality: 0.9}}}]\n") == []
    assert "unreachable-floor" in codes(
        "rules: [{name: a, then: {include: [quantized], limits: {min_quality: 0.9}}}]\n"
    )
    assert codes("rules: [{name: a, match: {tenant: [anybody]}}]\n") == []


def test_two_publishers_of_one_text_share_a_version(tmp_path: Path) -> None:
    def again(store: PolicyStore) -> int:
        return publish(store, a_document(), known=KNOWN, **FIELDS)[0].version

    with open_store(tmp_path / "db") as store:
        assert again(store) == again(store) == 1
