"""Documents of schema version 1 keep their meaning and their hashes, whatever the defaults are today."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given

from policies.documents.compile import compile_document, document_of
from policies.documents.schema import decode_document
from policies.documents.stored import decode_stored
from policies.documents.version1 import DocumentV1
from policies.errors import DocumentError
from policies.objective import Weights
from policies.policy import Exploration, ExplorationMethod, Formula, LearnedUse, Policy
from policies.priorities import RATIO_PRIORITIES
from tests.document_strategies import old_documents
from tests.policy_documents import GOLDEN, a_document

OLD = "schema_version: 1\nname: x\n"


def compiled(text: str) -> Policy:
    return compile_document(decode_document(text, source_name="t"))


@pytest.mark.parametrize("decode", [decode_document, decode_stored])
def test_it_compiles_to_the_formula_hints_and_exploration_of_its_time(decode: object) -> None:
    policy = compile_document(decode(OLD, source_name="t"))  # type: ignore[operator]
    assert (policy.formula, policy.priorities) == (Formula.RATIO, RATIO_PRIORITIES)
    assert (policy.exploration.method, policy.exploration.epsilon) == (ExplorationMethod.EPSILON_SOFTMAX, 0.05)
    assert (policy.estimators, policy.learning) == ({}, LearnedUse.IN_FORCE)


def test_what_it_states_counts() -> None:
    policy = compiled(OLD + "priorities: {cost: {cost: 1}}\nexploration: {epsilon: 0.2}\n")
    assert policy.priorities == RATIO_PRIORITIES | {"cost": Weights(cost=1)}
    assert policy.exploration == Exploration(method=ExplorationMethod.EPSILON_SOFTMAX, epsilon=0.2)


def test_its_thompson_sampling_has_neither_caution_nor_early_answers() -> None:
    policy = compiled(OLD + "exploration: {method: thompson}\n")
    assert policy.exploration == Exploration(
        method=ExplorationMethod.THOMPSON, epsilon=0.05, scale=1.0, caution=0.0, first=0
    )


@pytest.mark.parametrize("estimators", ["{quality: aa, length: bb, latency: cc}", "{taste: aa}"])
def test_its_estimators_are_those_in_force_instead(estimators: str) -> None:
    policy = compiled(OLD + f"estimators: {estimators}\n")
    assert (policy.estimators, policy.learning) == ({}, LearnedUse.IN_FORCE)


@pytest.mark.parametrize(
    ("text", "hash_"),
    [
        (OLD, "567668d4846d"),
        ((GOLDEN / "policy-1.yaml").read_text(), "998bbed7f6da"),
        (
            OLD + "rules: [{name: a, then: {weights: {accuracy: 1}, exclude: [x]}}]\nexploration: {epsilon: 0.02}\n",
            "a2b110c702d7",
        ),
    ],
    ids=["bare", "golden", "rule"],
)
def test_its_hash_is_the_one_that_the_first_release_computed(text: str, hash_: str) -> None:
    assert compiled(text).hash == hash_


def test_the_same_words_in_version_2_are_another_policy() -> None:
    """A hash names one meaning: the hints of version 1, written out, do not make version 2 the same."""
    stated = "".join(
        f"  {hint}: {{speed: {w.speed}, cost: {w.cost}, accuracy: {w.accuracy}}}\n"
        for hint, w in RATIO_PRIORITIES.items()
    )
    texts = [f"schema_version: {version}\nname: x\npriorities:\n{stated}" for version in (1, 2)]
    old, new = (compiled(text) for text in texts)
    assert old.hash != new.hash


@given(old_documents)
def test_a_policy_of_its_formula_as_a_document_compiles_to_the_same_policy(document: DocumentV1) -> None:
    policy = compile_document(document, stored_hash="kept")
    again = document_of(policy, name="again")
    assert isinstance(again, DocumentV1)
    assert compile_document(again, stored_hash="kept") == policy


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("exploration: {scale: 1}\n", "p.yaml:3:15: unknown key `scale` in exploration"),
        ("priorities: {cost: {cost: 1, keep: 0.9}}\n", "p.yaml:3:36: `keep` needs schema_version 2"),
        (
            "rules:\n  - name: a\n    then:\n      weights: {cost: 1, keep: 0.9}\n",
            "p.yaml:6:32: `keep` needs schema_version 2",
        ),
        ("estimators: none\n", "p.yaml:3:13: Expected `object`, got `str` at estimators"),
    ],
)
def test_what_only_version_2_has_is_an_error_in_edited_text(section: str, told: str) -> None:
    with pytest.raises(DocumentError) as caught:
        decode_document(OLD + section, source_name="p.yaml")
    assert str(caught.value).startswith(told)


def test_there_is_a_golden_file_of_every_schema_version() -> None:
    assert {Path(file).stem for file in GOLDEN.glob("policy-*.yaml")} == {"policy-1", "policy-2"}
    assert isinstance(decode_document(a_document(), source_name="t").schema_version, int)
