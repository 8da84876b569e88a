from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.signals import WEIGHTS, label, similarity, subject, with_latest

TEXTS = st.lists(st.sampled_from(["Paris", "is", "a", "city", "Größe", "\uff17"]), max_size=12).map(" ".join)


class Seen(msgspec.Struct, frozen=True):
    source: str
    score: float
    weight: float = 1.0


JUDGEMENTS = st.lists(
    st.builds(Seen, st.sampled_from(["feedback", "check", "judge", "agreement"]), st.floats(0, 1), st.floats(0, 2)),
    max_size=8,
)


def test_nothing_that_counts_gives_no_label() -> None:
    assert label([]) is None
    assert label([Seen("check", 1.0, 0.0)]) is None


def test_a_single_judgement_is_the_label() -> None:
    assert label([Seen("agreement", 0.7, WEIGHTS["agreement"])]) == (pytest.approx(0.7), 0.25)


def test_sources_are_weighed_against_each_other() -> None:
    found = label([Seen("feedback", 1.0, 1.0), Seen("agreement", 0.0, 0.25)])
    assert found == (pytest.approx(0.8), pytest.approx(1.25))


def test_many_checks_of_one_answer_weigh_as_one() -> None:
    checks = [Seen("check", score) for score in (1.0, 1.0, 1.0, 0.0)]
    assert label(checks) == (pytest.approx(0.75), 1.0)
    assert label([*checks, Seen("feedback", 0.0)]) == (pytest.approx(0.375), 2.0)


@given(JUDGEMENTS)
def test_a_label_lies_between_its_judgements_whatever_their_order(seen: list[Seen]) -> None:
    found = label(seen)
    assert (found is None) == (not any(judgement.weight for judgement in seen))
    if found is not None:
        scores = [judgement.score for judgement in seen if judgement.weight]
        assert min(scores) - 1e-9 <= found[0] <= max(scores) + 1e-9
        assert found[1] > 0
        assert label(seen[::-1]) == pytest.approx(found)


class Named(msgspec.Struct, frozen=True):
    source: str
    name: str
    score: float
    weight: float = 1.0


NAMED = st.builds(Named, st.sampled_from(["feedback", "check", "judge"]), st.sampled_from("ab"), st.floats(0, 1))


@given(st.lists(NAMED, max_size=12))
def test_of_judgements_of_one_source_and_subject_the_last_counts(rows: list[Named]) -> None:
    kept: list[Named] = []
    for row in rows:
        kept = with_latest(kept, row)
    assert {(row.source, subject(row.source, row.name)): row for row in rows} == {
        (row.source, subject(row.source, row.name)): row for row in kept
    }
    assert len({(row.source, subject(row.source, row.name)) for row in kept}) == len(kept)
    assert kept[-1:] == rows[-1:]


def test_feedback_counts_once_whatever_it_is_called() -> None:
    first, second = Named("feedback", "score", 1.0), Named("feedback", "tone", 0.0)
    assert with_latest([first], second) == [second]


@given(TEXTS, TEXTS)
def test_similarity_is_symmetric_and_one_exactly_for_the_same_words(one: str, other: str) -> None:
    assert similarity(one, other) == pytest.approx(similarity(other, one))
    assert 0 <= similarity(one, other) <= 1
    assert (similarity(one, other) == 1) == (sorted(one.split()) == sorted(other.split()))


def test_similarity_counts_words_with_repetition() -> None:
    assert similarity("the cat sat", "The cat, the cat!") == pytest.approx(2 * 2 / 7)
    assert similarity("It is Paris.", "it IS paris") == 1
    assert similarity("Paris", "Rome") == 0
    assert [similarity("", " \n"), similarity("...", "!"), similarity("", "a")] == [1, 0, 0]
