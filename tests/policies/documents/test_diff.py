"""A difference in meaning is told by its path and in words; other differences only in the text."""

from __future__ import annotations

import pytest
from hypothesis import given

from policies.documents.compile import compile_document
from policies.documents.diff import changes, unified
from policies.documents.schema import AnyDocument, decode_document
from tests.document_strategies import any_documents
from tests.policy_documents import a_document


def told(before: str, after: str) -> list[str]:
    """What changed between two sets of sections, in words."""
    read = [decode_document(a_document() + text, source_name="t") for text in (before, after)]
    return [str(change) for change in changes(*read)]


def test_a_changed_value_is_told_with_what_it_was() -> None:
    assert told("budgets: {law: {usd: 1}}\n", "budgets: {law: {usd: 2}}\n") == ["budgets.law.usd: 1.0 -> 2.0"]


def test_what_is_stated_now_is_told_against_its_default() -> None:
    assert told("hedge: {}\n", "hedge: {max_share: 0.1}\n") == ["hedge.max_share: 0.05 -> 0.1"]


def test_what_is_new_and_what_is_gone_are_told_as_a_whole() -> None:
    rule = "rules: [{name: law, match: {tenant: [a]}, then: {exclude: [full]}}]\n"
    assert told("", rule) == ['rules.law: added {"match":{"tenant":["a"]},"then":{"exclude":["full"]}}']
    assert told(rule, "")[0].startswith("rules.law: removed ")
    assert told("", "cascade: {first: a, then: b}\n") == [
        'cascade: added {"first":"a","then":"b","checks":true,"escalates":0.5,"recovers":0.5}'
    ]


def test_an_inserted_rule_changes_no_other_and_no_order() -> None:
    before = "rules: [{name: a}, {name: b}]\n"
    after = "rules: [{name: a}, {name: new}, {name: b}]\n"
    assert told(before, after) == ["rules.new: added {}"]


def test_priorities_are_held_against_the_built_in_ones() -> None:
    built_in = "priorities: {speed: {accuracy: 1, speed: 0.05, cost: 0.005, keep: 0.9}}\n"
    assert told("", built_in) == []
    assert told("", built_in.replace("0.9}", "0.8}")) == ["priorities.speed.keep: 0.9 -> 0.8"]


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("", "estimators: none\n", "estimators: in force -> none"),
        ("estimators: none\n", "", "estimators: none -> in force"),
        ("", "estimators: {answers: aa}\n", 'estimators: in force -> {"answers":"aa"}'),
        ("estimators: {answers: aa}\n", "estimators: none\n", 'estimators: {"answers":"aa"} -> none'),
        ("estimators: {answers: aa}\n", "estimators: {answers: bb}\n", "estimators.answers: aa -> bb"),
    ],
)
def test_a_change_of_the_estimators_used_is_told(before: str, after: str, line: str) -> None:
    assert told(before, after) == [line]


def test_a_document_of_version_1_differs_from_one_of_version_2_by_its_formula() -> None:
    old, new = (decode_document(f"schema_version: {version}\nname: x\n", source_name="t") for version in (1, 2))
    lines = [str(change) for change in changes(old, new)]
    assert lines[:2] == ["schema_version: 1 -> 2", "formula: ratio -> linear"]
    assert {"exploration.method: epsilon_softmax -> thompson", "exploration.epsilon: 0.05 -> 0.01"} <= set(lines)
    assert "estimators" not in "".join(lines)


def test_another_order_of_rules_is_told() -> None:
    assert told("rules: [{name: a}, {name: b}]\n", "rules: [{name: b}, {name: a}]\n") == [
        'rules: order changed from ["a","b"] to ["b","a"]'
    ]


def test_comments_and_formatting_change_nothing_in_meaning() -> None:
    assert told("budgets: {law: {usd: 1}}\n", "# a comment\nbudgets:\n  law:\n    usd: 1.0\n") == []


@given(any_documents, any_documents)
def test_documents_that_mean_the_same_differ_in_name_and_description_only(
    before: AnyDocument, after: AnyDocument
) -> None:
    same = {change.path for change in changes(before, after)} <= {"name", "description"}
    assert same or compile_document(before).hash != compile_document(after).hash
    assert changes(before, before) == ()


def test_the_text_is_compared_line_by_line() -> None:
    text = unified("a: 1\nb: 2\n", "a: 1\nb: 3\n", before_name="1", after_name="2")
    assert text.splitlines() == ["--- 1", "+++ 2", "@@ -1,2 +1,2 @@", " a: 1", "-b: 2", "+b: 3"]
    assert unified("a", "a", before_name="1", after_name="2") == ""
