"""The checkable tasks: what counts as right, and that nothing is trained on them."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.builder import task_items
from backends.builder.corpus import prompt
from backends.builder.tasks import Family, HasJson, Item, Matches, check, items

ITEMS = items()
BY_KEY = {(item.family, item.key): item for item in ITEMS}
TRAINING = [prompt(index, seed=0) for index in range(4096)]


def test_every_family_has_twenty_items_and_no_item_comes_twice() -> None:
    assert Counter(item.family for item in ITEMS) == dict.fromkeys(Family, 20)
    assert len(BY_KEY) == len({item.prompt for item in ITEMS}) == len(ITEMS)


@pytest.mark.parametrize(
    ("family", "key", "answer", "right"),
    [
        (Family.CAPITALS, "France", "The capital of France is Paris.", True),
        (Family.CAPITALS, "France", "Parisian cafés", False),
        (Family.CAPITALS, "Argentina", "It is buenos aires!", True),
        (Family.ANTONYMS, "hot", 'The opposite of "hot" is "cold."', True),
        (Family.ANTONYMS, "hot", "A scolding.", False),
        (Family.TRIVIA, "What is the chemical symbol of water?", "It is H2O.", True),
        (Family.TRIVIA, "What is the freezing point of water in degrees Celsius?", "It is 100 degrees.", False),
        (Family.STRINGS, "river", "RIVER", True),
        (Family.STRINGS, "river", "River", False),
        (Family.STRINGS, "cloud", "Cloud, cloud, cloud.", True),
        (Family.STRINGS, "cloud", "cloud cloud cloud cloud cloud cloud", False),
        (Family.STRINGS, "pilot", "tolip", True),
        (Family.JSON, "Anna, 30", '{"name": "Anna", "age": 30}', True),
        (Family.JSON, "Anna, 30", 'Here:\n```json\n{"age": "30", "name": "anna", "city": null}\n```', True),
        (Family.JSON, "Anna, 30", '{"name": "Anna", "age": 31}', False),
        (Family.JSON, "Anna, 30", '{"name": "Anna", "age": 30', False),
        (Family.JSON, "Anna, 30", '{"name": {"first": "Anna"}, "age": 30}', False),
        (Family.JSON, "Anna, 30", "Anna is 30.", False),
    ],
)
def test_an_answer_is_right_when_a_caller_could_use_it(family: Family, key: str, answer: str, *, right: bool) -> None:
    assert check(BY_KEY[family, key], answer) is right


@given(answer=st.text(), item=st.sampled_from(ITEMS))
def test_no_answer_breaks_the_check(answer: str, item: Item) -> None:
    assert check(item, answer) in (True, False)


def test_a_prompt_does_not_give_its_answer_away_where_it_is_knowledge() -> None:
    for item in ITEMS:
        if item.family in (Family.CAPITALS, Family.ANTONYMS, Family.TRIVIA, Family.STRINGS):
            assert not check(item, item.prompt), item.prompt


def test_extraction_and_json_can_be_answered_from_the_prompt() -> None:
    for item in ITEMS:
        if isinstance(item.expect, HasJson):
            assert all(str(value) in item.prompt for value in item.expect.fields.values())
        elif item.family is Family.EXTRACTION:
            assert isinstance(item.expect, Matches)
            assert check(item, item.key)


def test_no_training_prompt_mentions_a_country_a_capital_or_a_trivia_question_of_the_tasks() -> None:
    known = {text for pair in task_items.CAPITALS for text in pair} | {key for key, _ in task_items.TRIVIA}
    known |= {key for key, _, _ in task_items.EXTRACTION}
    mentioned = re.compile(rf"(?i)(?<!\w)(?:{'|'.join(map(re.escape, sorted(known)))})(?!\w)")
    assert [training.text for training in TRAINING if mentioned.search(training.text)] == []


def test_no_word_that_a_task_is_about_is_trained_on_in_the_same_way() -> None:
    antonyms = {word for key, opposites in task_items.ANTONYMS for word in (key, *opposites)}
    strings = {key for key, _, _ in task_items.STRINGS}
    asked = {"word": antonyms, "string": strings}
    for training in TRAINING:
        quoted = set(re.findall(r'"([^"]+)"', training.text))
        assert not quoted & asked.get(training.kind, set()), training.text


def test_no_training_prompt_has_the_values_of_a_json_task() -> None:
    for training in TRAINING:
        for fields in task_items.JSON_OBJECTS:
            assert not all(str(value) in training.text for value in fields.values()), training.text


def test_training_prompts_are_the_same_for_a_seed_and_others_for_another() -> None:
    assert [prompt(index, seed=0) for index in range(50)] == TRAINING[:50]
    assert [prompt(index, seed=1) for index in range(50)] != TRAINING[:50]


def test_training_prompts_are_of_every_kind_and_mostly_different() -> None:
    kinds = Counter(training.kind for training in TRAINING)
    assert len(kinds) == 10
    assert min(kinds.values()) > 100
    assert len({training.text for training in TRAINING}) > 1500
