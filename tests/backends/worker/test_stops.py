from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from backends.worker.stops import StopFilter

# Two letters make overlaps and near misses common.
texts = st.text("ab", max_size=30)
stop_lists = st.lists(st.text("ab", min_size=1, max_size=4), max_size=4)


def cut(text: str, stops: list[str]) -> str:
    """What is before the stop string that is complete first, looking at every prefix in turn."""
    for end in range(len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            return text[: end - max(map(len, complete))]
    return text


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    bounds = [0, *sorted({c for c in cuts if c < len(text)}), len(text)]
    return [text[a:b] for a, b in pairwise(bounds)]


@given(text=texts, stops=stop_lists, cuts=st.lists(st.integers(1, 30)))
def test_pieces_add_up_to_the_text_before_the_first_stop_string(text: str, stops: list[str], cuts: list[int]) -> None:
    stop = StopFilter(stops)
    shown = "".join(stop.feed(piece) for piece in pieces_of(text, cuts))
    assert shown + ("" if stop.matched else stop.flush()) == cut(text, stops)
    assert stop.matched == any(s in text for s in stops)


@given(text=texts, stops=stop_lists)
def test_nothing_is_shown_that_a_stop_string_takes_back(text: str, stops: list[str]) -> None:
    stop = StopFilter(stops)
    shown = ""
    for character in text:
        shown += stop.feed(character)
        assert cut(text, stops).startswith(shown)


def test_only_what_may_begin_a_stop_string_is_held_back() -> None:
    stop = StopFilter(["END"])
    assert stop.feed("the E") == "the "
    assert stop.feed("nd") == "End"
    assert stop.flush() == ""


def test_nothing_is_shown_after_a_match() -> None:
    stop = StopFilter(["."])
    assert stop.feed("one. two") == "one"
    assert stop.feed(" three") == ""
