"""Finding who is to blame leaves everything as it was."""

from __future__ import annotations

import copy

import msgspec
import yaml

from policies.documents.blame import blame


def test_the_value_is_the_same_after_its_culprit_was_found() -> None:
    text, type_ = "a: {x: 1}\nb: {x: 1, y: bad}\nc: {x: 1}", dict[str, dict[str, int]]
    root, value = yaml.compose(text), yaml.safe_load(text)
    before = copy.deepcopy(value)
    mark, what = blame("Expected `int`, got `str` - at `$[...][...]`", root=root, value=value, type_=type_)
    assert (mark.line, mark.column, what) == (1, 13, "Expected `int`, got `str` at b.y")
    assert value == before


def test_a_message_of_another_form_is_passed_on_at_the_start() -> None:
    mark, what = blame("odd", root=yaml.compose("a: 1"), value={"a": 1}, type_=dict[str, int])
    assert (mark.line, mark.column, what) == (0, 0, "odd")


def test_msgspec_still_words_its_messages_as_they_are_read() -> None:
    class Strict(msgspec.Struct, forbid_unknown_fields=True):
        pass

    try:
        msgspec.convert([{"a": 1}], list[Strict])
    except msgspec.ValidationError as error:
        message = str(error)
    assert message == "Object contains unknown field `a` - at `$[0]`"
