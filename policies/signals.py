"""Judgements of an answer's quality: what each kind of source is worth, and the one label they make together."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Protocol, TypeVar

__all__ = ("WEIGHTS", "Judgement", "NamedJudgement", "label", "similarity", "subject", "with_latest")

WEIGHTS = {"feedback": 1.0, "check": 1.0, "form": 0.25, "judge": 0.5, "agreement": 0.25}
"""Weight that each kind of judgement is recorded with.

A person's word and a check of the answer count in full. `form`, a check that the answer has the shape asked for, says
little about whether it is right. A judge errs. Agreement with the reference variant errs most: the reference may be
wrong, and a right answer may be worded otherwise.
"""

_WORD = re.compile(r"\w+")


class Judgement(Protocol):
    """One row of the observations."""

    @property
    def source(self) -> str:
        """Who judged."""

    @property
    def score(self) -> float:
        """In [0, 1]."""

    @property
    def weight(self) -> float:
        """How much it counts against others; at least 0."""


class NamedJudgement(Judgement, Protocol):
    """A judgement that tells what it is about."""

    @property
    def name(self) -> str:
        """The check, the reference, or what was judged."""


J = TypeVar("J", bound=NamedJudgement)


def subject(source: str, name: str) -> str:
    """What tells judgements of one answer by one source apart; of those with the same subject the last counts.

    A check has one judgement for each name, as has a judge and a reference. Feedback has one in
    all, since a caller could invent any number of names.
    """
    return "" if source == "feedback" else name


def with_latest(judgements: Iterable[J], new: J) -> list[J]:
    """An answer's judgements once a new one has come: it replaces the one of its source and subject."""
    key = (new.source, subject(new.source, new.name))
    return [*(j for j in judgements if (j.source, subject(j.source, j.name)) != key), new]


def label(observations: Iterable[Judgement]) -> tuple[float, float] | None:
    """Quality of one answer by everything that is known, and the weight of that; None where nothing counts.

    Judgements of one source are not independent of each other, as several checks of one answer are not: they make one
    judgement, their weighted mean, which weighs as much as the heaviest of them. The label is the weighted mean over
    the sources, its weight their sum.
    """
    sources: defaultdict[str, list[Judgement]] = defaultdict(list)
    for observation in observations:
        if observation.weight > 0:
            sources[observation.source].append(observation)
    judged = [(_mean((j.score, j.weight) for j in found), max(j.weight for j in found)) for found in sources.values()]
    return (_mean(judged), sum(weight for _, weight in judged)) if judged else None


def similarity(one: str, other: str) -> float:
    """Token F1 of two texts, in [0, 1], whatever the case and the punctuation (Rajpurkar et al. 2016, SQuAD).

    It is the harmonic mean of the two shares of words that have a partner in the other text, repetitions counted.
    Preferred to an edit distance because it is linear in the length and forgives another order of the same facts.
    Texts without a word are alike when they are the same but for spaces.
    """
    words, others = _words(one), _words(other)
    if not words or not others:
        return float(one.split() == other.split())
    return 2.0 * (words & others).total() / (words.total() + others.total())


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def _mean(pairs: Iterable[tuple[float, float]]) -> float:
    """Weighted mean of values with their weights; the weights must not all be 0."""
    listed = list(pairs)
    return sum(value * weight for value, weight in listed) / sum(weight for _, weight in listed)
