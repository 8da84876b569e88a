"""Prompts for distillation: varied, seeded, endless, and about nothing that the checkable tasks ask.

A student is trained on what its teacher answers to them, so they decide what it keeps. Each kind below is something
that users of a small model do; the shares are set in `_SHARES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import TypeVar

import msgspec
import numpy as np

__all__ = ("Prompt", "prompt", "words")

_T = TypeVar("_T")


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """One user message for the teacher."""

    kind: str
    text: str
    max_tokens: int
    """Where the teacher's answer is cut."""
    temperature: float
    """0 where the answer is short and definite; above for variety."""


class _Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sentence with fields in braces, and questions about it."""

    text: str
    questions: tuple[str, ...]


class _Bank(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`corpus.yaml`: what the prompts are made of."""

    countries: tuple[str, ...]
    adjectives: tuple[str, ...]
    nouns: tuple[str, ...]
    names: tuple[str, ...]
    cities: tuple[str, ...]
    questions: tuple[str, ...]
    topics: tuple[str, ...]
    programs: tuple[str, ...]
    things: tuple[str, ...]
    greetings: tuple[str, ...]
    jobs: tuple[str, ...]
    colors: tuple[str, ...]
    objects: tuple[str, ...]
    days: tuple[str, ...]
    places: tuple[str, ...]
    json_keys: tuple[tuple[str, str], ...]
    sentences: tuple[_Template, ...]


@cache
def _bank() -> _Bank:
    return msgspec.yaml.decode(files("backends.builder").joinpath("corpus.yaml").read_bytes(), type=_Bank)


def prompt(index: int, *, seed: int) -> Prompt:
    """The prompt at a place of the endless sequence; the same for the same arguments, on every machine."""
    rng = np.random.default_rng((seed, index))
    kind = str(rng.choice(list(_SHARES), p=np.fromiter(_SHARES.values(), float)))
    writer, max_tokens, temperature = _KINDS[kind]
    return Prompt(kind=kind, text=writer(rng), max_tokens=max_tokens, temperature=temperature)


def words() -> tuple[str, ...]:
    """Common words, for prompts whose content does not matter."""
    return _bank().nouns


def _pick(rng: np.random.Generator, choices: Sequence[_T]) -> _T:
    return choices[int(rng.integers(len(choices)))]


def _fields(rng: np.random.Generator) -> dict[str, str]:
    """Values for the fields of a sentence."""
    bank = _bank()
    name, other = (bank.names[i] for i in rng.choice(len(bank.names), 2, replace=False))
    return {
        "name": name,
        "other": other,
        "lower": name.lower(),
        "city": _pick(rng, bank.cities),
        "job": _pick(rng, bank.jobs),
        "hour": str(rng.integers(6, 23)),
        "minute": f"{rng.integers(12) * 5:02}",
        "number": str(rng.integers(3, 100)),
        "color": _pick(rng, bank.colors),
        "thing": _pick(rng, bank.objects),
        "day": _pick(rng, bank.days),
        "place": _pick(rng, bank.places),
    }


def _country(rng: np.random.Generator) -> str:
    asked = ("What is the capital of {}?", "What is the capital of {}?", "Where is {}?", "Name a large city in {}.",
             "Which language is spoken in {}?", "Tell me about {} in one sentence.")  # fmt: skip
    return _pick(rng, asked).format(_pick(rng, _bank().countries))


def _word(rng: np.random.Generator) -> str:
    asked = ('What is the opposite of the word "{}"?', 'What is the opposite of the word "{}"?', "What does {} mean?",
             'Give a synonym of "{}".', 'Use the word "{}" in a sentence.')  # fmt: skip
    return _pick(rng, asked).format(_pick(rng, _bank().adjectives))


def _extraction(rng: np.random.Generator) -> str:
    template = _pick(rng, _bank().sentences)
    return f"{template.text}\n{_pick(rng, template.questions)}".format_map(_fields(rng))


def _json(rng: np.random.Generator) -> str:
    keys = _pick(rng, _bank().json_keys)
    fields = _fields(rng)
    words = (fields["other"], fields["city"], fields["number"], fields["thing"], fields["color"], fields["job"])
    values = [fields.get(key) or _pick(rng, words) for key in keys]
    first, second = keys
    asked = (
        'Write a JSON object with the keys "{0}" and "{1}". The {0} is {2}. The {1} is {3}.',
        'Write a JSON object with the keys "{0}" and "{1}". The {0} is {2}. The {1} is {3}.',
        "Give me JSON with {0} {2} and {1} {3}.",
        'Return only a JSON object: "{0}" is "{2}", "{1}" is "{3}".',
    )
    return _pick(rng, asked).format(first, second, *values)


def _string(rng: np.random.Generator) -> str:
    asked = ("Write the word {} in capital letters.", "What is the first letter of the word {}?",
             "What is the plural of the word {}?", "Repeat the word {} three times.",
             "What is the last letter of the word {}?", "Spell the word {} backwards.")  # fmt: skip
    return _pick(rng, asked).format(f'"{_pick(rng, _bank().nouns)}"')


def _question(rng: np.random.Generator) -> str:
    return _pick(rng, _bank().questions)


def _prose(rng: np.random.Generator) -> str:
    asked = ("Write a short paragraph about {}.", "Explain {} to a child.", "Write a short story about {}.",
             "Why does {} matter?", "Give me three facts about {}.", "Write a short poem about {}.")  # fmt: skip
    return _pick(rng, asked).format(_pick(rng, _bank().topics))


def _code(rng: np.random.Generator) -> str:
    language = _pick(rng, ("Python", "Python", "JavaScript", "Java"))
    return f"Write a {language} function that {_pick(rng, _bank().programs)}."


def _list(rng: np.random.Generator) -> str:
    return f"List {_pick(rng, ('three', 'four', 'five'))} {_pick(rng, _bank().things)}."


def _chat(rng: np.random.Generator) -> str:
    return _pick(rng, _bank().greetings)


_KINDS: dict[str, tuple[Callable[[np.random.Generator], str], int, float]] = {
    "country": (_country, 48, 0.5),
    "word": (_word, 48, 0.5),
    "extraction": (_extraction, 48, 0.3),
    "json": (_json, 56, 0.3),
    "question": (_question, 64, 0.7),
    "string": (_string, 40, 0.3),
    "prose": (_prose, 128, 0.8),
    "code": (_code, 128, 0.7),
    "list": (_list, 80, 0.8),
    "chat": (_chat, 64, 0.8),
}
_SHARES = {
    "country": 0.12, "word": 0.14, "extraction": 0.17, "json": 0.17, "question": 0.14, "string": 0.08, "prose": 0.07,
    "code": 0.04, "list": 0.04, "chat": 0.03,
}  # fmt: skip
"""How often each kind comes; they sum to 1."""
