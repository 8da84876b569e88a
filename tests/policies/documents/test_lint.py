"""Every kind of mistake is found, at its place; a document in order has no findings."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given

from policies.documents.findings import Known, Severity
from policies.documents.lint import errors_among, lint
from policies.documents.lint_rules import shadows
from policies.documents.schema import AnyDocument, encode_document
from policies.policy import Match
from policies.rules import matches
from policies.types import RoutingRequest
from tests.document_strategies import any_documents
from tests.policy_documents import GOLDEN, KNOWN, a_document
from tests.policy_strategies import requests


def found(text: str, known: Known = KNOWN) -> list[tuple[str, str, int, str]]:
    """Code, path, line and severity of each finding that asks for a change."""
    findings = lint(text, known=known, source_name="p.yaml")
    return [(f.code, f.path, f.line, f.severity) for f in findings if f.severity is not Severity.NOTE]


def notes(text: str) -> list[tuple[str, int, str]]:
    """Code, line and words of each note."""
    findings = lint(text, known=KNOWN, source_name="p.yaml")
    return [(f.code, f.line, f.message) for f in findings if f.severity is Severity.NOTE]


def test_a_document_in_order_has_no_findings() -> None:
    assert found(a_document()) == []


@pytest.mark.parametrize(
    ("section", "code", "line", "words"),
    [
        ("", "estimators-in-force", 1, "keeps the estimators in force"),
        ("estimators: none\n", "estimators-none", 5, "uses cards only"),
        ("estimators: {answers: 00112233aabb}\n", "estimators-in-force", 5, "keeps the one in force for latency"),
    ],
)
def test_a_note_says_which_estimators_a_document_uses(section: str, code: str, line: int, words: str) -> None:
    [note] = notes(a_document() + section)
    assert note[:2] == (code, line)
    assert words in note[2]
    assert found(a_document() + section) == []


def test_a_document_that_pins_every_kind_has_no_note() -> None:
    pinned = a_document() + "estimators: {answers: 00112233aabb, latency: 00112233aabb}\n"
    assert notes(pinned) == []
    [note] = notes(pinned + "cascade: {first: quantized, then: full}\n")
    assert "keeps the one in force for cascade" in note[2]
    assert notes(pinned + "cascade: {first: quantized, then: full, threshold: 0.5}\n") == []


def test_a_document_of_version_1_is_told_so_and_that_its_estimators_cannot_be_read() -> None:
    text = a_document().replace("schema_version: 2", "schema_version: 1")
    assert [note[:2] for note in notes(text)] == [("old-version", 1)]
    assert found(text) == []
    assert found(text + "estimators: {quality: 00112233aabb}\n") == [
        ("unreadable-estimators", "estimators", 5, "warning")
    ]


def test_a_document_that_cannot_be_read_has_one_finding_at_its_place() -> None:
    assert found("schema_version: 2\nname: x\nrulez: 1\n") == [("schema", "", 3, "error")]


@pytest.mark.parametrize(
    ("section", "code", "path"),
    [
        ("rules: [{name: a, then: {include: [ful]}}]", "unknown-variant", "rules[0].then.include[0]"),
        ("rules: [{name: a, then: {exclude: [ful]}}]", "unknown-variant", "rules[0].then.exclude[0]"),
        ("rules: [{name: a, then: {prefer: {ful: 0.1}}}]", "unknown-variant", "rules[0].then.prefer.ful"),
        ("trials: [{variant: ful, parent: full}]", "unknown-variant", "trials[0].variant"),
        ("trials: [{variant: full, parent: ful}]", "unknown-variant", "trials[0].parent"),
        ("budgets: {nobody: {usd: 1}}", "unknown-tenant", "budgets.nobody"),
        ("rules: [{name: a, match: {tenant: [nobody]}}]", "unknown-tenant", "rules[0].match.tenant[0]"),
        ("priorities: {fast: {speed: 1}}", "unknown-hint", "priorities.fast"),
        ("rules: [{name: a, match: {hint: [fast]}}]", "unknown-hint", "rules[0].match.hint[0]"),
        (
            "rules: [{name: a, match: {service_tier: [gold]}}]",
            "unknown-service-tier",
            "rules[0].match.service_tier[0]",
        ),
        ("rules: [{name: a, match: {language: [xx]}}]", "unknown-language", "rules[0].match.language[0]"),
        ("rules: [{name: a, match: {needs: [vision]}}]", "unknown-capability", "rules[0].match.needs[0]"),
        ("estimators: {taste: 00112233aabb}", "unknown-estimator-kind", "estimators.taste"),
        ("estimators: {answers: ffffffffffff}", "unknown-estimator", "estimators.answers"),
        ("rules: [{name: a, match: {hint: [cost]}}, {name: a}]", "repeated-name", "rules[1].name"),
        (
            "trials: [{variant: full, parent: quantized}, {variant: full, parent: quantized}]",
            "repeated-name",
            "trials[1].variant",
        ),
        ("rules: [{name: a}, {name: b, match: {hint: [cost]}}]", "unreachable-rule", "rules[1].name"),
        ("rules: [{name: a, match: {hint: []}}]", "unreachable-rule", "rules[0].match.hint"),
        ("rules: [{name: a, match: {tags: {app: []}}}]", "unreachable-rule", "rules[0].match.tags.app"),
        (
            "rules: [{name: a, match: {min_prompt_tokens: 9, max_prompt_tokens: 8}}]",
            "unreachable-rule",
            "rules[0].match.min_prompt_tokens",
        ),
        (
            "rules: [{name: a, then: {include: [full, quantized], exclude: [full]}}]",
            "contradiction",
            "rules[0].then.exclude",
        ),
        ("rules: [{name: a, then: {include: []}}]", "nobody-left", "rules[0].then.include"),
        ("rules: [{name: a, then: {exclude: [full, quantized, distilled]}}]", "nobody-left", "rules[0].then.exclude"),
        (
            "rules: [{name: a, then: {limits: {ttft_s: 3, latency_s: 2}}}]",
            "contradiction",
            "rules[0].then.limits.ttft_s",
        ),
        ("cascade: {first: ful, then: full}", "unknown-variant", "cascade.first"),
        ("rules: [{name: a, then: {cascade: true}}]", "no-cascade", "rules[0].then.cascade"),
        ("rules: [{name: a, then: {hedge: true}}]", "no-hedge", "rules[0].then.hedge"),
        ("trials: [{variant: full, parent: full}]", "contradiction", "trials[0].parent"),
        (
            "trials: [{variant: distilled, parent: full}]\nrules: [{name: all, then: {exclude: [distilled]}}]",
            "exploration-outside",
            "trials[0].variant",
        ),
        (
            "trials: [{variant: distilled, parent: full, share: 1}, {variant: quantized, parent: full, share: 1}]",
            "contradiction",
            "trials",
        ),
    ],
)
def test_every_error_is_found_alone_and_forbids_publishing(section: str, code: str, path: str) -> None:
    errors = [finding for finding in found(a_document() + section + "\n") if finding[3] is Severity.ERROR]
    assert [(code_, path_) for code_, path_, _, _ in errors] == [(code, path)]


@pytest.mark.parametrize(
    ("section", "code", "path"),
    [
        (
            "rules: [{name: a, then: {limits: {min_quality: 0.8}}}]",
            "unreachable-floor",
            "rules[0].then.limits.min_quality",
        ),
        ("rules: [{name: a, then: {include: [full]}}]", "exploration-outside", "rules[0].then"),
        ("rules: [{name: a, then: {exclude: [full], prefer: {full: 1}}}]", "contradiction", "rules[0].then.prefer"),
        ("cascade: {first: distilled, then: full}", "no-effect", "cascade"),
        ("hedge: {max_share: 0.1}", "no-effect", "hedge"),
        ("trials: [{variant: distilled}]", "no-parent", "trials[0]"),
    ],
)
def test_every_doubt_is_found_alone_and_forbids_nothing(section: str, code: str, path: str) -> None:
    text = a_document() + section + "\n"
    assert [(c, p, s) for c, p, _, s in found(text)] == [(code, path, "warning")]
    assert errors_among(lint(text, known=KNOWN, source_name="p")) == ()


@pytest.mark.parametrize(
    ("fallback", "code", "path"),
    [
        ("[]", "no-fallback", "fallback"),
        ("[full, ful]", "unknown-variant", "fallback[1]"),
        ("[full, full]", "repeated-name", "fallback[1]"),
    ],
)
def test_a_fall_back_must_be_there_known_and_distinct(fallback: str, code: str, path: str) -> None:
    assert found(a_document(fallback=fallback)) == [(code, path, 4, "error")]


def test_a_cascade_needs_two_variants_that_its_rule_leaves_in() -> None:
    same = "rules: [{name: a, then: {cascade: true}}]\ncascade: {first: full, then: full}\n"
    assert [(code, path) for code, path, _, _ in found(a_document() + same)] == [("contradiction", "cascade.then")]
    barred = "rules: [{name: a, then: {cascade: true, exclude: [full]}}]\ncascade: {first: distilled, then: full}\n"
    assert [code for code, _, _, _ in found(a_document() + barred)] == ["contradiction"]


def test_a_figure_that_the_exploration_does_not_read_is_told() -> None:
    text = "schema_version: 2\nname: x\nfallback: [full]\nexploration: {method: thompson, temperature: 1}\n"
    assert found(text) == [("no-effect", "exploration.temperature", 4, "warning")]
    text = text.replace("method: thompson, temperature: 1", "method: epsilon_softmax, first: 5")
    assert found(text) == [("no-effect", "exploration.first", 4, "warning")]


def test_a_variant_without_a_price_is_told_unless_nobody_can_get_it() -> None:
    known = msgspec.structs.replace(KNOWN, unpriced=frozenset({"full"}))
    assert [code for code, _, _, _ in found(a_document(), known)] == ["unknown-price"]
    barred = a_document() + "rules: [{name: all, then: {exclude: [full]}}]\n"
    assert found(barred, known) == []


def test_what_is_not_known_is_not_checked() -> None:
    text = a_document() + "budgets: {anybody: {usd: 1}}\nestimators: {answers: ffffffffffff}\n"
    bare = Known(variants=KNOWN.variants)
    assert found(text, bare) == []


def test_a_floor_is_held_only_against_figures_that_are_known() -> None:
    text = a_document() + "rules: [{name: a, then: {limits: {min_quality: 0.8}}}]\n"
    guessed = msgspec.structs.replace(KNOWN, variants=dict(KNOWN.variants) | {"distilled": None})
    assert found(text, guessed) == []


def test_findings_come_in_the_order_of_the_lines_and_name_what_was_meant() -> None:
    text = "schema_version: 2\nname: x\nrules:\n  - name: a\n    then:\n      exclude: [ful]\nfallback: [quantised]\n"
    findings = lint(text, known=KNOWN, source_name="p")
    assert [(f.line, f.column) for f in findings] == [(1, 1), (6, 17), (7, 12)]
    assert "did you mean `quantized`?" in findings[2].message


@pytest.mark.parametrize("version", [1, 2])
def test_the_golden_documents_are_in_order_but_for_names_of_their_own(version: int) -> None:
    codes = {code for code, _, _, _ in found((GOLDEN / f"policy-{version}.yaml").read_text())}
    own = {"unknown-tenant", "contradiction"}
    assert codes <= own | ({"unreadable-estimators"} if version == 1 else {"unknown-estimator", "no-effect"})


@given(any_documents)
def test_whatever_can_be_read_can_be_linted(document: AnyDocument) -> None:
    for finding in lint(encode_document(document), known=KNOWN, source_name="p"):
        assert finding.line >= 1
        assert finding.column >= 1


MATCHES = [
    Match(),
    Match(hint=("cost",)),
    Match(hint=("cost", "speed")),
    Match(tenant=("a",), tags={"app": ("x",)}),
    Match(tags={"app": ("x", "y")}),
    Match(min_prompt_tokens=10),
    Match(min_prompt_tokens=20, max_prompt_tokens=30),
    Match(max_prompt_tokens=40),
    Match(needs=("tools",)),
    Match(needs=("tools", "logprobs")),
]


@given(requests)
def test_a_shadowed_rule_takes_no_request_that_the_earlier_one_leaves(asked: RoutingRequest) -> None:
    variations = [
        msgspec.structs.replace(asked, hint=hint, tenant=tenant, tags=tags, prompt_tokens=asked.prompt_tokens % 50)
        for hint in (None, "cost", "speed")
        for tenant in ("a", "b")
        for tags in ({}, {"app": "x"}, {"app": "y"})
    ]
    for earlier in MATCHES:
        for later in (match for match in MATCHES if shadows(earlier, match)):
            assert all(matches(earlier, request) for request in variations if matches(later, request))


def test_shadowing_tells_apart_what_it_should() -> None:
    pairs = {(i, j) for i, a in enumerate(MATCHES) for j, b in enumerate(MATCHES) if i != j and shadows(a, b)}
    assert pairs == {(0, j) for j in range(1, len(MATCHES))} | {(2, 1), (4, 3), (5, 6), (7, 6), (9, 8)}
