"""Weights are put in words that say what is paid for money and time."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.hints import in_words
from policies.objective import Weights
from policies.policy import Formula
from policies.priorities import RATIO_PRIORITIES
from tests.policy_strategies import weights


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        (
            Weights(accuracy=1, cost=0.05),
            "quality, at 5 % of the price that makes the cheapest variant and the best one equals",
        ),
        (Weights(accuracy=1), "quality; neither money nor time counts"),
        (Weights(accuracy=2, keep=0.9), "quality up to 90 % of the best; neither money nor time counts"),
        (Weights(cost=1), "the cheapest; quality does not count"),
        (Weights(speed=1), "the fastest; quality does not count"),
        (Weights(speed=1, cost=3), "price and time as 3 to 1; quality does not count"),
    ],
)
def test_linear_weights_say_what_is_paid(given_: Weights, words: str) -> None:
    assert in_words(given_, Formula.LINEAR) == words


def test_weights_of_the_first_schema_version_are_shares() -> None:
    assert in_words(RATIO_PRIORITIES["balanced"], Formula.RATIO) == (
        "60 % quality, 20 % share of the least cost, 20 % share of the least latency"
    )


@given(weights, st.sampled_from(Formula))
def test_every_weighting_has_plain_words(given_: Weights, formula: Formula) -> None:
    words = in_words(given_, formula)
    assert not re.search(r"nan|inf|\de[+]", words)
