"""The items of the task set `checkable-1`: plain tables, one per family, in the order they are asked.

Twenty items a family. The first column of a table is the item's key: text that a variant is trained on must not ask
about any of them (`corpus.prompts` keeps to other items, and a test compares the two). Changing an item changes what
a score means, so it makes a new task set.
"""

from __future__ import annotations

__all__ = ("ANTONYMS", "CAPITALS", "EXTRACTION", "JSON_OBJECTS", "STRINGS", "TRIVIA")

CAPITALS: tuple[tuple[str, str], ...] = (
    ("France", "Paris"),
    ("Germany", "Berlin"),
    ("Italy", "Rome"),
    ("Spain", "Madrid"),
    ("Portugal", "Lisbon"),
    ("Japan", "Tokyo"),
    ("China", "Beijing"),
    ("Russia", "Moscow"),
    ("Egypt", "Cairo"),
    ("Greece", "Athens"),
    ("Canada", "Ottawa"),
    ("Australia", "Canberra"),
    ("Argentina", "Buenos Aires"),
    ("Poland", "Warsaw"),
    ("Sweden", "Stockholm"),
    ("Norway", "Oslo"),
    ("Kenya", "Nairobi"),
    ("Thailand", "Bangkok"),
    ("Peru", "Lima"),
    ("Ireland", "Dublin"),
)
"""Country, capital."""

ANTONYMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("hot", ("cold", "cool")),
    ("big", ("small", "little", "tiny")),
    ("fast", ("slow",)),
    ("happy", ("sad", "unhappy")),
    ("light", ("dark", "heavy", "darkness")),
    ("open", ("closed", "close", "shut")),
    ("up", ("down",)),
    ("early", ("late",)),
    ("rich", ("poor",)),
    ("strong", ("weak",)),
    ("wet", ("dry",)),
    ("full", ("empty",)),
    ("hard", ("soft", "easy")),
    ("young", ("old",)),
    ("clean", ("dirty", "unclean")),
    ("loud", ("quiet", "soft", "silent")),
    ("true", ("false", "untrue")),
    ("win", ("lose", "loss")),
    ("buy", ("sell",)),
    ("love", ("hate", "hatred")),
)
"""Word, opposites that count."""

EXTRACTION: tuple[tuple[str, str, str], ...] = (
    ("Maria bought three red apples at the market in Lyon.", "In which city is the market?", "Lyon"),
    ("The train to Hamburg leaves at 9:45 from platform 6.", "At what time does the train leave?", "9:45"),
    ("Dr. Patel will meet the new nurse on Thursday morning.", "On which day is the meeting?", "Thursday"),
    ("The invoice of 240 dollars was paid by Olivia Brown.", "Who paid the invoice?", "Olivia Brown"),
    ("Our office moved from Denver to Seattle last spring.", "To which city did the office move?", "Seattle"),
    ("The green bicycle belongs to my brother Tomas.", "What colour is the bicycle?", "green"),
    ("Flight BA117 to New York is delayed by two hours.", "What is the flight number?", "BA117"),
    ("Sofia is 34 years old and works as a pilot.", "What is Sofia's job?", "pilot"),
    ("The recipe needs 200 grams of flour and two eggs.", "How many grams of flour are needed?", "200"),
    (
        "You can write to Henrik at henrik@fjord.example for tickets.",
        "What is the e-mail address?",
        "henrik@fjord.example",
    ),
    ("The museum opens at ten and closes at six in the evening.", "When does the museum open?", "ten"),
    ("Aisha adopted a small black cat named Pepper.", "What is the name of the cat?", "Pepper"),
    ("The concert will be held in the old church on Friday.", "Where will the concert be held?", "church"),
    ("Professor Lindqvist teaches chemistry in room 12.", "What does Professor Lindqvist teach?", "chemistry"),
    ("The order number is 58213 and it ships tomorrow.", "What is the order number?", "58213"),
    ("Carlos flew from Lima to Toronto to visit his aunt.", "Whom did Carlos visit?", "aunt"),
    ("The blue whale in the film is called Ondine.", "What is the whale called?", "Ondine"),
    ("Mr. Okafor parked his silver van behind the bakery.", "Behind which building is the van?", "bakery"),
    ("The meeting was moved from Monday to Wednesday.", "On which day is the meeting now?", "Wednesday"),
    ("Elena scored 87 points and Victor scored 92 points.", "How many points did Victor score?", "92"),
)
"""Sentence, question, what the answer must contain."""

JSON_OBJECTS: tuple[dict[str, str | int], ...] = (
    {"name": "Anna", "age": 30},
    {"brand": "Volvo", "year": 2015},
    {"title": "Dune", "author": "Frank Herbert"},
    {"city": "Oslo", "country": "Norway"},
    {"name": "lamp", "price": 25},
    {"name": "Ben", "grade": 7},
    {"name": "Rex", "species": "dog"},
    {"day": "Monday", "hour": 14},
    {"title": "Alien", "year": 1979},
    {"title": "Yesterday", "artist": "The Beatles"},
    {"model": "X200", "storage": 64},
    {"rooms": 5, "color": "white"},
    {"name": "Laura", "department": "sales"},
    {"fruit": "banana", "color": "yellow"},
    {"from": "Rome", "to": "Paris"},
    {"name": "Nile", "continent": "Africa"},
    {"team": "Lions", "points": 12},
    {"username": "max99", "email": "max@mail.example"},
    {"planet": "Mars", "moons": 2},
    {"seat": "B12", "price": 40},
)
"""The fields and values that the object must have."""

TRIVIA: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("What is the largest planet in the solar system?", ("Jupiter",)),
    ("Who wrote Romeo and Juliet?", ("Shakespeare",)),
    ("What is the chemical symbol of water?", ("H2O", "H₂O")),
    ("How many days are there in a week?", ("seven", "7")),
    ("What gas do plants take in from the air?", ("carbon dioxide", "CO2", "CO₂")),
    ("Which animal is known as the king of the jungle?", ("lion",)),
    ("What is the freezing point of water in degrees Celsius?", ("0", "zero")),
    ("What is the tallest mountain on Earth?", ("Everest",)),
    ("Which planet is known as the Red Planet?", ("Mars",)),
    ("Who painted the Mona Lisa?", ("Leonardo", "da Vinci")),
    ("What do bees make?", ("honey",)),
    ("How many legs does a spider have?", ("eight", "8")),
    ("Which organ pumps blood through the body?", ("heart",)),
    ("What is the largest ocean on Earth?", ("Pacific",)),
    ("Who developed the theory of relativity?", ("Einstein",)),
    ("How many months are there in a year?", ("twelve", "12")),
    ("Which force pulls objects towards the Earth?", ("gravity", "gravitational")),
    ("What is the closest star to the Earth?", ("Sun",)),
    ("What colour do you get when you mix blue and yellow?", ("green",)),
    ("Which language is spoken in Brazil?", ("Portuguese",)),
)
"""Question, words of which the answer must contain one."""

STRINGS: tuple[tuple[str, str, str | tuple[str, str]], ...] = (
    ("river", "Write the word {} in capital letters.", r"\bRIVER\b"),
    ("garden", "Write the word {} in capital letters.", r"\bGARDEN\b"),
    ("window", "Write the word {} in capital letters.", r"\bWINDOW\b"),
    ("planet", "Write the word {} in capital letters.", r"\bPLANET\b"),
    ("monkey", "Write the word {} in capital letters.", r"\bMONKEY\b"),
    ("table", "What is the first letter of the word {}?", r"\b[Tt]\b"),
    ("flower", "What is the first letter of the word {}?", r"\b[Ff]\b"),
    ("music", "What is the first letter of the word {}?", r"\b[Mm]\b"),
    ("bread", "What is the first letter of the word {}?", r"\b[Bb]\b"),
    ("horse", "What is the first letter of the word {}?", r"\b[Hh]\b"),
    ("chair", "What is the plural of the word {}?", r"\b[Cc]hairs\b"),
    ("city", "What is the plural of the word {}?", r"\b[Cc]ities\b"),
    ("child", "What is the plural of the word {}?", r"\b[Cc]hildren\b"),
    ("knife", "What is the plural of the word {}?", r"\b[Kk]nives\b"),
    ("mouse", "What is the plural of the word {}?", r"\b[Mm]ice\b"),
    (
        "cloud",
        "Repeat the word {} three times.",
        (r"(?i)\bcloud\W+cloud\W+cloud\b", r"(?is)(?:\bcloud\b.*){5}"),
    ),
    (
        "apple",
        "Repeat the word {} three times.",
        (r"(?i)\bapple\W+apple\W+apple\b", r"(?is)(?:\bapple\b.*){5}"),
    ),
    ("stone", "What is the last letter of the word {}?", r"\b[Ee]\b"),
    ("tiger", "What is the last letter of the word {}?", r"\b[Rr]\b"),
    ("pilot", "Spell the word {} backwards.", r"\b[Tt]olip\b"),
)
"""Word, prompt about it, pattern that the answer must match, in two cases with one that it must not."""
