"""A document reads back as it was written, stored text stays readable, and the hash names the meaning alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.content import content_hash, stated
from policies.documents.compile import compile_document, document_of
from policies.documents.schema import AnyDocument, PolicyDocument, decode_document, encode_document
from policies.documents.stored import decode_stored
from policies.errors import DocumentError
from policies.objective import Weights
from policies.policy import Budget, Exploration, Formula, LearnedUse, Match, Rule, Then
from policies.priorities import DEFAULT_PRIORITIES
from tests.document_strategies import any_documents, documents
from tests.policy_documents import GOLDEN, a_document


@given(any_documents)
def test_a_written_document_reads_back_as_it_was(document: AnyDocument) -> None:
    text = encode_document(document)
    assert decode_document(text, source_name="written") == document
    assert decode_stored(text, source_name="written") == document


@given(documents)
def test_a_policy_as_a_document_compiles_to_the_same_policy(document: PolicyDocument) -> None:
    policy = compile_document(document)
    assert compile_document(document_of(policy, name="again", description="another")) == policy


def test_comments_formatting_order_and_names_are_not_in_the_hash() -> None:
    plain = "schema_version: 2\nname: a\nexploration: {epsilon: 0.1, temperature: 0}\nfallback: [x, y]\n"
    other = (
        "# said otherwise\nfallback:\n- x\n- 'y'\nname: b\ndescription: the same\n"
        "exploration:\n  temperature: 0.0\n  epsilon: 1e-1\nschema_version: 2\n"
    )
    hashes = {compile_document(decode_document(text, source_name="t")).hash for text in (plain, other)}
    assert len(hashes) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"fallback": ("y", "x")},
        {"exploration": Exploration(epsilon=0.2)},
        {"rules": (Rule(name="r", then=Then(cascade=True)),)},
        {"budgets": {"*": Budget(usd=1)}},
        {"estimators": {"answers": "00112233aabb"}},
        {"estimators": "none"},
        {"priorities": {"speed": Weights(speed=1)}},
    ],
)
def test_every_part_of_the_meaning_is_in_the_hash(change: dict[str, Any]) -> None:
    document = PolicyDocument(schema_version=2, name="a", fallback=("x", "y"))
    changed = msgspec.structs.replace(document, **change)
    assert compile_document(changed).hash != compile_document(document).hash


def test_every_hint_has_weights_whatever_a_document_leaves_out() -> None:
    document = PolicyDocument(schema_version=2, name="a", priorities={"speed": Weights(speed=1)})
    assert compile_document(document).priorities == DEFAULT_PRIORITIES | {"speed": Weights(speed=1)}


def test_a_field_left_at_its_default_is_not_in_the_hash() -> None:
    """Else a field added later would rename every policy there is."""
    stated = decode_document(a_document() + "rules: []\nbudgets: {}\nhedge: null\n", source_name="t")
    assert compile_document(stated) == compile_document(decode_document(a_document(), source_name="t"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: x\n", "p.yaml:1:1: Object missing required field `schema_version`"),
        ("schema_version: 3\nname: x\n", "p.yaml:1:17: schema_version 3 is not known"),
        ("schema_version: '2'\nname: x\n", "p.yaml:1:17: schema_version '2' is not known"),
        ("schema_version: 2\nname: X Y\n", "p.yaml:2:7: "),
        ("schema_version: 2\nname: x\nexploration:\n  epsilon: 2\n", "p.yaml:4:12: Expected `float` <= 1.0"),
        (
            "schema_version: 2\nname: x\nrules:\n- name: a\n  then: {exlude: [full]}\n",
            "p.yaml:5:10: unknown key `exlude` in rules[0].then; did you mean `exclude`?",
        ),
    ],
)
def test_edited_text_is_strict_and_says_where(text: str, told: str) -> None:
    with pytest.raises(DocumentError) as caught:
        decode_document(text, source_name="p.yaml")
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    ("section", "column"),
    [
        ("nonne", 13),
        ("None", 13),
        ("null", 13),
        ("", 12),
        ("no", 13),
        ("{}", 1),
        ("[]", 1),
    ],
)
def test_what_looks_like_none_without_being_it_is_an_error_at_its_place(section: str, column: int) -> None:
    """An empty value would read as absent, which means the opposite."""
    with pytest.raises(DocumentError) as caught:
        decode_document(a_document() + f"estimators: {section}\n", source_name="p.yaml")
    assert str(caught.value).startswith(f"p.yaml:5:{column}: expected `none` (cards only), or content hashes by kind")


def test_a_pinned_estimator_that_is_no_text_is_an_error_at_its_key() -> None:
    with pytest.raises(DocumentError) as caught:
        decode_document(a_document() + "estimators: {answers: 12}\n", source_name="p.yaml")
    assert str(caught.value) == "p.yaml:5:23: Expected `str`, got `int` at estimators.answers"


@pytest.mark.parametrize(
    ("section", "estimators", "learning"),
    [
        ("", {}, LearnedUse.IN_FORCE),
        ("estimators: none\n", {}, LearnedUse.NONE),
        ("estimators: {answers: aa}\n", {"answers": "aa"}, LearnedUse.IN_FORCE),
    ],
)
def test_a_document_keeps_the_estimators_in_force_refuses_them_or_pins_some(
    section: str, estimators: dict[str, str], learning: LearnedUse
) -> None:
    policy = compile_document(decode_document(a_document() + section, source_name="t"))
    assert (policy.estimators, policy.learning, policy.formula) == (estimators, learning, Formula.LINEAR)


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("policy-*.yaml")), ids=lambda file: file.stem)
def test_documents_of_every_schema_version_are_still_read(file: Path) -> None:
    document = decode_stored(file.read_text(), source_name=file.name)
    assert msgspec.json.decode(file.with_suffix(".json").read_bytes()) == stated(document)


def test_a_golden_document_says_everything_one_can_say() -> None:
    document = decode_document((GOLDEN / "policy-2.yaml").read_text(), source_name="golden")
    default = PolicyDocument(schema_version=2, name="x")
    assert isinstance(document, PolicyDocument)
    for of, plain in (
        (document, default),
        (document.exploration, default.exploration),
        (document.rules[0].match, Match()),
        (document.rules[0].then, Then()),
    ):
        for field in set(of.__struct_fields__) - {"schema_version"}:
            assert getattr(of, field) != getattr(plain, field), field


def test_stored_text_of_a_later_version_is_read_without_what_is_new() -> None:
    text = a_document() + "rules: [{name: r, then: {exclude: [full], teleport: true}}]\nfuture: {a: 1}\n"
    document = decode_stored(text, source_name="stored")
    assert document.rules == (Rule(name="r", then=Then(exclude=("full",))),)
    with pytest.raises(DocumentError):
        decode_document(text, source_name="edited")


def test_a_stored_rule_with_an_unknown_condition_applies_to_nobody_rather_than_to_all() -> None:
    rules = "rules: [{name: moon, match: {phase: [full]}, then: {exclude: [full]}}, {name: known}]\n"
    document = decode_stored(a_document() + rules, source_name="stored")
    assert [rule.name for rule in document.rules] == ["known"]


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_damaged_text_is_a_document_error_and_nothing_else(text: str) -> None:
    for decode in (decode_document, decode_stored):
        with pytest.raises(DocumentError):
            decode(text, source_name="damaged")


def test_a_stored_hash_is_kept_whatever_would_be_computed_now() -> None:
    document = decode_document(a_document(), source_name="t")
    assert compile_document(document, stored_hash="0123456789ab").hash == "0123456789ab"
    assert compile_document(document).hash == content_hash(compile_document(document))
