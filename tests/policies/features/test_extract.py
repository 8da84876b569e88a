"""What a prompt's features are, and that the same prompt always has the same ones."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.features.extract import extract, group
from policies.features.layout import GRAM_BUCKETS, GROUP_BUCKETS, MAX_TEXT_BYTES, SURFACE, VERSION
from policies.features.types import Features, Prompt

GOLDEN_TEXT = (
    'How many of the 12 eggs are left? Answer in JSON:\n```json\n{"eggs": 3.5}\n``` Größe, naïve, 東京 + $20 (50%).'
)


def digest(features: Features) -> str:
    parts = (features.grams, features.counts, np.round(features.surface, 4), features.groups)
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()[:16]


def named(text: str, **of: object) -> dict[str, float]:
    features = extract(Prompt(text=text, **of))  # type: ignore[arg-type]
    return dict(zip(SURFACE, features.surface.tolist(), strict=True))


def test_the_extraction_changes_only_together_with_its_version() -> None:
    """If this fails, raise `layout.REVISION`: weights in use and logs kept were made with the old extraction."""
    features = extract(Prompt(text=GOLDEN_TEXT, tags={"team": "eggs"}, hint="speed", turns=3, tools=2))
    assert (VERSION, digest(features)) == ("65c86097d30e", "ba1e51f1b35bf2d4")


@given(st.text(max_size=400), st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_any_text_has_features_in_the_layout(text: str, tags: dict[str, str]) -> None:
    features = extract(Prompt(text=text, tags=tags))
    assert features.grams.dtype == np.uint16
    assert (np.diff(features.grams.astype(int)) > 0).all()
    assert features.counts.shape == features.grams.shape
    assert (features.counts >= 1).all()
    assert features.surface.shape == (len(SURFACE),)
    assert np.isfinite(features.surface).all()
    assert features.groups.max() < GROUP_BUCKETS


@given(st.text(max_size=200))
def test_every_word_pair_of_words_and_run_of_four_bytes_is_counted_once(text: str) -> None:
    encoded = text.encode("utf-8", "surrogatepass")
    folded = bytes(b + 32 if 65 <= b <= 90 else b for b in encoded)
    words = re.findall(rb"[0-9a-z\x80-\xff]+", folded)
    expected = len(words) + max(0, len(words) - 1) + max(0, len(encoded) - 3)
    assert extract(Prompt(text=text)).counts.sum() == expected


def test_a_gram_has_the_same_bucket_wherever_it_stands() -> None:
    alone = extract(Prompt(text="gram"))
    later = extract(Prompt(text="a long way before the gram"))
    assert set(alone.grams) <= set(later.grams)


def test_case_is_folded_in_grams_and_counted_in_the_surface() -> None:
    lower, upper = extract(Prompt(text="paris france")), extract(Prompt(text="PARIS FRANCE"))
    assert (lower.grams == upper.grams).all()
    assert named("PARIS")["upper_share"] == 1.0


def test_grams_spread_over_all_buckets() -> None:
    """Chi-square of 64 equal ranges: below 120 but for one text in a hundred thousand."""
    text = extract(Prompt(text=" ".join(f"w{i}" for i in range(1500))))
    found = np.bincount(text.grams // (GRAM_BUCKETS // 64), minlength=64)
    expected = found.sum() / 64
    assert ((found - expected) ** 2 / expected).sum() < 120


def test_of_a_long_text_the_beginning_and_the_end_are_read() -> None:
    middle = "x" * 3 * MAX_TEXT_BYTES
    features = extract(Prompt(text=f"opening {middle} ending"))
    for word in ("opening", "ending"):
        assert extract(Prompt(text=word)).grams[0] in features.grams
    assert features.counts.sum() <= 3 * MAX_TEXT_BYTES


@pytest.mark.parametrize(
    ("text", "feature", "value"),
    [
        ("1 22 333", "numbers", 0.3),
        ("1 22 333", "longest_number", 0.3),
        ("a\nb\nc", "lines", 0.2),
        ("why? how?", "questions", 0.2),
        ("why? how?", "question_words", 0.2),
        ("which is not true", "negations", 1.0),
        ("the same the same", "distinct_words", 0.5),
        ("1234abcd", "digit_share", 0.5),
        ("$5 and 10%", "money", 0.2),
        ("Größe", "non_ascii_share", 4 / 7),
        ("def f(): return None", "code", 2 / 3),
    ],
)
def test_the_surface_counts_what_it_names(text: str, feature: str, value: float) -> None:
    assert named(text)[feature] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is the capital of France?", "en"),
        ("Was ist die Hauptstadt von Frankreich?", "de"),
        ("Quelle est la capitale de la France ?", "fr"),
        ("¿Cuál es la capital de Francia?", "es"),
        ("Qual è la capitale della Francia?", "it"),
        ("Qual é a capital da França e do Brasil?", "pt"),
        ("Wat is de hoofdstad van het land?", "nl"),
        ("Какая столица Франции?", "ru"),
        ("フランスの首都はどこですか", "ja"),
        ("法国的首都是哪里", "zh"),
        ("프랑스의 수도는 어디입니까", "ko"),
        ("12 + 30", "und"),
        ("", "und"),
    ],
)
def test_the_language_is_guessed(text: str, language: str) -> None:
    assert extract(Prompt(text=text)).language == language


def test_a_request_belongs_to_its_tenant_tags_language_and_hint() -> None:
    prompt = Prompt(text="what is the time", tenant="acme", tags={"team": "a"}, hint="cost")
    kinds = {("tenant", "acme"), ("tag:team", "a"), ("language", "en"), ("hint", "cost")}
    assert set(extract(prompt).groups) == {group(*kind) for kind in kinds}


def test_tag_names_and_values_are_kept_apart() -> None:
    assert group("tag:a", "bc") != group("tag:ab", "c")
