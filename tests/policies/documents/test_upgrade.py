"""A document of version 1 becomes one of version 2, with its comments, and says what changes in meaning."""

from __future__ import annotations

import pytest
from hypothesis import given

from policies.documents.schema import PolicyDocument, decode_document, encode_document
from policies.documents.upgrade import upgraded
from policies.documents.version1 import DocumentV1
from policies.objective import Weights
from policies.policy import Exploration, ExplorationMethod
from tests.document_strategies import old_documents
from tests.policy_documents import GOLDEN, a_document

OLD = """\
# A policy of ours.
schema_version: 1   # the first
name: ours

# What the hints mean.
# All of them.
priorities:
  speed: {speed: 0.90, cost: 0.05, accuracy: 0.05}
  # ours
  balanced: {speed: 0.3, cost: 0.1, accuracy: 0.6}  # careful

rules:
  - name: law
    then: {weights: {accuracy: 1}}

# Little is tried.
exploration: {epsilon: 0.02}
estimators:
  quality: aa
  length: bb

# The end.
fallback: [a, b]
"""

NEW = """\
# A policy of ours.
schema_version: 2   # the first
name: ours

# What the hints mean.
# All of them.
priorities:
  # ours
  balanced: {speed: 0.3, cost: 0.1, accuracy: 0.6}  # careful

rules:
  - name: law
    then: {weights: {accuracy: 1}}

# Little is tried.
exploration: {method: epsilon_softmax, epsilon: 0.02}

# The end.
fallback: [a, b]
"""


def test_the_text_is_edited_in_place_with_its_comments() -> None:
    assert upgraded(OLD, source_name="p").text == NEW


def test_what_changes_in_meaning_is_said_place_by_place() -> None:
    changes = upgraded(OLD, source_name="p").changes
    assert [words.split(" ", 1)[0] for words in changes] == [
        "Weights",
        "Hints",
        "`priorities.balanced`",
        "`rules.law.then.weights`",
        "Exploration",
        "Estimators",
    ]
    assert "money is priced at 0.17 times" in changes[2]
    assert "only quality counts" in changes[3]


def test_a_document_of_version_2_is_left_as_it_is() -> None:
    found = upgraded(a_document(), source_name="p")
    assert (found.text, found.changes) == (a_document(), ())


@pytest.mark.parametrize("section", ["", "exploration: {method: epsilon_softmax, epsilon: 0.05}\n"])
def test_the_default_exploration_becomes_the_default(section: str) -> None:
    text = f"schema_version: 1\nname: x\n{section}"
    assert upgraded(text, source_name="p").text == "schema_version: 2\nname: x\n"


@pytest.mark.parametrize(
    ("stated", "meant"),
    [
        (
            "exploration:\n  temperature: 0.1\n",
            Exploration(method=ExplorationMethod.EPSILON_SOFTMAX, epsilon=0.05, temperature=0.1),
        ),
        (
            "exploration: {method: thompson, epsilon: 0.1}\n",
            Exploration(epsilon=0.1, scale=1.0, caution=0.0, first=0),
        ),
    ],
)
def test_a_stated_exploration_keeps_its_meaning(stated: str, meant: Exploration) -> None:
    found = upgraded(f"schema_version: 1\nname: x\n# why\n{stated}", source_name="p")
    document = decode_document(found.text, source_name="p")
    assert document.exploration == meant
    assert "# why" in found.text


def test_the_built_in_hints_written_out_are_replaced_by_those_of_version_2() -> None:
    text = (
        "schema_version: 1\nname: x\npriorities:\n  cost: {speed: 0.05, cost: 0.9, accuracy: 0.05}\nfallback: [a]\n"
    )
    found = upgraded(text, source_name="p")
    assert found.text == "schema_version: 2\nname: x\nfallback: [a]\n"
    assert "those of version 2" in " ".join(found.changes)


def test_text_that_cannot_be_edited_line_by_line_is_written_anew() -> None:
    text = '{"schema_version": 1, "name": "x", "estimators": {"quality": "aa"}, "fallback": ["a"]}'
    document = decode_document(upgraded(text, source_name="p").text, source_name="p")
    assert document == PolicyDocument(schema_version=2, name="x", fallback=("a",))


def test_the_golden_document_becomes_version_2() -> None:
    found = upgraded((GOLDEN / "policy-1.yaml").read_text(), source_name="p")
    document = decode_document(found.text, source_name="p")
    assert isinstance(document, PolicyDocument)
    assert document.priorities == {"speed": Weights(speed=0.8, cost=0.1, accuracy=0.1)}


@given(old_documents)
def test_every_document_of_version_1_can_be_upgraded(document: DocumentV1) -> None:
    found = upgraded(encode_document(document), source_name="p")
    after = decode_document(found.text, source_name="p")
    assert isinstance(after, PolicyDocument)
    assert (after.rules, after.budgets, after.fallback) == (document.rules, document.budgets, document.fallback)
    assert found.changes
