"""Generated lessons: sentences whose next token is known, each with a distractor, and stories from a small grammar.

Knows words and templates, split into those trained on and those measured on; of tokens only which words are one. Every
fifth name, place and object, and the last templates of each kind, are held out. Where only knowledge of an item can
answer (facts, sequences), the wordings or starting points are held out instead, and the items are shared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Literal

from dashapp.model.tokenizer import END_OF_TEXT_ID, token_text

Split = Literal["training", "held_out"]


@dataclass(frozen=True)
class Lesson:
    """A prompt whose next token is `answer` and not `distractor`; `rest` closes the sentence.

    Answer and distractor are single tokens with their leading space.
    """

    prompt: str
    answer: str
    distractor: str
    rest: str

    @property
    def text(self) -> str:
        return self.prompt + self.answer + self.rest


def part(items: Sequence[str], split: Split) -> list[str]:
    """Every fifth item is held out; the others are trained on."""
    return [item for index, item in enumerate(items) if (index % 5 == 4) == (split == "held_out")]


# Single tokens with a leading space, all of them.
GIRLS = (
    "Mary Alice Anna Lucy Sarah Emma Jane Rose Kate Helen Grace Martha Ruth Laura Julia Ellen Molly Susan Emily Betty "
    "Sally Nancy Maria Hannah Clara Amy Daisy Margaret Elizabeth Dorothy"
).split()
BOYS = (
    "John Tom James Peter Robert Henry Jack William George Charles Ben Sam David Arthur Frank Harry Daniel Fred Paul "
    "Edward Joe Walter Martin Simon Jim Philip Andrew Oliver Max Mark"
).split()
NAMES = [name for pair in zip(GIRLS, BOYS, strict=True) for name in pair]
PLACES = "store school park garden house farm river market church forest beach hill village kitchen barn".split()
THINGS = (
    "ball book drink flower letter cake ring box hat basket coat apple cup key bell candle ribbon toy doll egg coin "
    "map stick lamp pencil"
).split()

STRANGER_SHARE = 0.6  # of training lessons whose names are strangers


@cache
def strangers() -> tuple[str, ...]:
    """Capitalised words of one token that are no name above and open no template: names for training lessons only.

    With the few dozen real names alone the model learned them by heart, and never answered with a held-out one.
    """
    templates = " ".join([*TWO_NAME_TEMPLATES["training"], *STORY_STARTS, *STORY_MIDDLES, *STORY_ENDS])
    known = {*NAMES, *re.findall("[A-Za-z]+", templates)}
    words = (re.fullmatch(" ([A-Z][a-z]{2,8})", token_text(token)) for token in range(END_OF_TEXT_ID))
    return tuple(word[1] for word in words if word and word[1] not in known)


def two_of(rng: Random, split: Split) -> tuple[str, str]:
    """Two different names of a split; in training often strangers, so that names must be read, not remembered."""
    is_strange = split == "training" and rng.random() < STRANGER_SHARE
    a, b = rng.sample(strangers() if is_strange else part(NAMES, split), 2)
    return a, b


TWO_NAME_TEMPLATES: Mapping[Split, Sequence[str]] = {
    "training": (
        "When {a} and {b} went to the {place}, {giver} gave a {thing} to",
        "{a} and {b} were at the {place}. {giver} had a {thing} and handed it to",
        "After {a} and {b} came to the {place}, {giver} gave the {thing} to",
        "While {a} and {b} were playing at the {place}, {giver} threw a {thing} to",
        "{a} met {b} near the {place}, and {giver} showed the {thing} to",
        "One day {a} and {b} walked to the {place}. There {giver} found a {thing} and gave it to",
        "Then {a} and {b} sat down by the {place}. {giver} wanted to give the {thing} to",
        "{a} sat beside {b} in the {place}, and soon {giver} said something about a {thing} to",
        "Once {a} and {b} lived near a {place}. Every day {giver} brought a {thing} to",
        "As {a} and {b} ran past the {place}, {giver} passed the {thing} to",
    ),
    "held_out": (
        "When {a} and {b} got to the {place}, {giver} decided to give a {thing} to",
        "{a} and {b} worked at the {place}, and {giver} offered a {thing} to",
        "Yesterday {a} and {b} were in the {place}, where {giver} sold a {thing} to",
    ),
}
TWO_NAME_RESTS = (".", ", who was very glad.", " and smiled.", " and they both laughed.", ", and then they went home.")


def two_names(rng: Random, split: Split, *, giver_first: bool | None = None) -> Lesson:
    """Two people, one gives: the answer is the other (the sentences of Wang et al. 2022, arXiv 2211.00593).

    `giver_first`: whether the giver is the first of the two names; at random when absent.
    """
    a, b = two_of(rng, split)
    if giver_first is None:
        giver_first = rng.random() < 0.5
    giver, other = (a, b) if giver_first else (b, a)
    template = rng.choice(TWO_NAME_TEMPLATES[split])
    place, thing = rng.choice(part(PLACES, split)), rng.choice(part(THINGS, split))
    prompt = template.format(a=a, b=b, giver=giver, place=place, thing=thing)
    return Lesson(_with_an(prompt), f" {other}", f" {giver}", rng.choice(TWO_NAME_RESTS))


def _with_an(text: str) -> str:
    for vowel in "aeio":
        text = text.replace(f" a {vowel}", f" an {vowel}")
    return text


CAPITALS = {
    "France": "Paris", "England": "London", "Italy": "Rome", "Germany": "Berlin", "Russia": "Moscow",
    "Spain": "Madrid", "Austria": "Vienna", "Ireland": "Dublin", "Japan": "Tokyo", "Greece": "Athens",
    "Egypt": "Cairo", "Portugal": "Lisbon", "Sweden": "Stockholm", "Cuba": "Havana", "Poland": "Warsaw",
}  # fmt: skip
OPPOSITES = {
    "hot": "cold", "big": "small", "up": "down", "day": "night", "black": "white", "good": "bad", "old": "young",
    "fast": "slow", "rich": "poor", "happy": "sad", "wet": "dry", "open": "closed", "high": "low", "long": "short",
    "hard": "soft", "light": "dark", "left": "right", "first": "last", "early": "late", "strong": "weak",
}  # fmt: skip
COLOURS = {
    "snow": "white", "grass": "green", "the sky": "blue", "coal": "black", "blood": "red", "milk": "white",
    "the sun": "yellow", "gold": "yellow", "a leaf": "green", "the sea": "blue", "night": "black", "fire": "red",
}  # fmt: skip
YOUNG = {
    "cow": "calf", "dog": "puppy", "cat": "kitten", "sheep": "lamb", "hen": "chicken", "bear": "cub",
}  # fmt: skip
FACTS: Mapping[str, Mapping[str, str]] = {
    "capital": CAPITALS, "opposite": OPPOSITES, "colour": COLOURS, "young": YOUNG
}  # fmt: skip
FACT_TEMPLATES: Mapping[str, Mapping[Split, Sequence[str]]] = {
    "capital": {
        "training": (
            "The capital of {x} is",
            "The capital city of {x} is called",
            "In {x} the capital is",
            "The greatest city in {x} is the capital,",
            "If you go to the capital of {x}, you come to",
        ),
        "held_out": ("Everybody knows that the capital of {x} is", "In {x} the capital city is called"),
    },
    "opposite": {
        "training": (
            "The opposite of {x} is",
            "If it is not {x}, it is",
            "{x} is the opposite of",
            "Not {x} but",
            "One was {x} and the other was",
        ),
        "held_out": ("Everybody knows that the opposite of {x} is", "If it was not {x}, it was"),
    },
    "colour": {
        "training": (
            "The colour of {x} is",
            "{x} is",
            "We all know that {x} is",
            "Look, {x} is",
            "It was as bright as {x}, which is",
        ),
        "held_out": ("Everybody knows that the colour of {x} is", "You can see that {x} is"),
    },
    "young": {
        "training": (
            "A young {x} is called a",
            "The child of a {x} is a",
            "The {x} had a little one, a",
            "The baby of the {x} is a",
        ),
        "held_out": ("Everybody knows that a young {x} is called a", "The old {x} had a little one, a"),
    },
}


def fact(rng: Random, split: Split) -> Lesson:
    """A capital, an opposite, a colour, an animal's young, in some wording; the distractor answers another item."""
    kind = rng.choice(list(FACTS))
    item = rng.choice(list(FACTS[kind]))
    answer = FACTS[kind][item]
    distractor = rng.choice(sorted(set(FACTS[kind].values()) - {answer}))
    prompt = rng.choice(FACT_TEMPLATES[kind][split]).format(x=item)
    return Lesson(prompt[0].upper() + prompt[1:], f" {answer}", f" {distractor}", ".")


NOUNS = {
    "key": "keys", "boy": "boys", "girl": "girls", "dog": "dogs", "book": "books", "tree": "trees", "king": "kings",
    "bird": "birds", "flower": "flowers", "house": "houses", "horse": "horses", "friend": "friends", "door": "doors",
    "window": "windows", "letter": "letters", "star": "stars", "soldier": "soldiers", "teacher": "teachers",
    "brother": "brothers", "sister": "sisters", "picture": "pictures", "box": "boxes", "cat": "cats", "ship": "ships",
    "road": "roads", "cabinet": "cabinets", "garden": "gardens", "table": "tables", "river": "rivers", "hat": "hats",
}  # fmt: skip
VERBS = ((" is", " are"), (" was", " were"), (" has", " have"))
AGREEMENT_TEMPLATES: Mapping[Split, Sequence[str]] = {
    "training": (
        "The {head} to the {near}",
        "The {head} near the {near}",
        "The {head} behind the {near}",
        "The {head} of the {near}",
        "The {head}",
        "The {head} with the {near}",
    ),
    "held_out": ("The {head} beside the {near}", "I know that the {head} by the {near}"),
}
AGREEMENT_RESTS = (" very old.", " not here.", " in the garden.", " here now.", " always there.")


def agreement(rng: Random, split: Split) -> Lesson:
    """Subject and verb with a noun of the other number between (Linzen et al. 2016); pairs of nouns are split."""
    nouns = list(NOUNS)
    head, near = rng.sample(range(len(nouns)), 2)
    while ((head + near) % 5 == 4) != (split == "held_out"):
        head, near = rng.sample(range(len(nouns)), 2)
    is_plural, near_plural = rng.random() < 0.5, rng.random() < 0.5
    if split == "held_out":
        near_plural = not is_plural  # the hard case only
    verb = rng.choice(VERBS)
    prompt = rng.choice(AGREEMENT_TEMPLATES[split]).format(
        head=_numbered(nouns[head], is_plural), near=_numbered(nouns[near], near_plural)
    )
    rest = " gone." if verb == VERBS[2] else rng.choice(AGREEMENT_RESTS)
    return Lesson(prompt, verb[is_plural], verb[not is_plural], rest)


def _numbered(noun: str, is_plural: bool) -> str:
    return NOUNS[noun] if is_plural else noun


SEQUENCES = (
    "one two three four five six seven eight nine ten eleven twelve".split(),
    [str(number) for number in range(1, 61)],
    list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    list("abcdefghijklmnopqrstuvwxyz"),
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday Monday Tuesday Wednesday".split(),
    "January February March April May June July August September October November December".split(),
    "first second third fourth fifth sixth seventh eighth ninth tenth".split(),
)
JOINTS = (" ", ", ")


def counting(rng: Random, split: Split) -> Lesson:
    """Numbers, letters, days or months in order; the pair of starting point and length is trained on or held out."""
    sequence = rng.choice(SEQUENCES)
    while True:
        length = rng.randint(3, 6)
        start = rng.randrange(len(sequence) - length)
        if ((2 * start + length) % 5 == 4) == (split == "held_out"):
            break
    joint = rng.choice(JOINTS)
    shown, answer = sequence[start : start + length], sequence[start + length]
    wrong = rng.choice([item for item in sequence if item != answer])
    comma = joint.rstrip()
    rest = comma + "".join(f" {item}{comma}" for item in sequence[start + length + 1 : start + length + 4])
    return Lesson(" " + joint.join(shown) + comma, f" {answer}", f" {wrong}", rest)


OPENINGS: Mapping[Split, Sequence[str]] = {
    "training": (
        "{name} said, {mark}",
        "Then {name} looked up {mark}",
        "{name} laughed {mark}",
        "At last {name} came back {mark}",
    ),
    "held_out": ("Soon {name} sat down {mark}", "{name} cried, {mark}"),
}
INSIDE = (
    "It is time to go home", "I saw a small dog", "We must be very quiet now", "The moon is bright",
    "He had lost his hat",
    "It was a very long day", "They were all very happy", "That is a fine house", "We will be there soon",
    "She was fond of apples", "There is no one here", "I like the old garden", "It was only a little bird",
    "You may come with me", "The door is open", "Now the rain has stopped",
)  # fmt: skip
MARKS = (('"', '."', ".)"), ("(", ".)", '."'))


def closing(rng: Random, split: Split) -> Lesson:
    """A quote or bracket is open and the sentence ends: which of the two closes it."""
    opener, answer, distractor = rng.choice(MARKS)
    name = rng.choice(part(NAMES, split))
    inside = ", and ".join(
        sentence if index == 0 else sentence[0].lower() + sentence[1:]
        for index, sentence in enumerate(rng.sample(part(INSIDE, split), rng.randint(1, 2)))
    )
    return Lesson(rng.choice(OPENINGS[split]).format(name=name, mark=opener) + inside, answer, distractor, "")


KINDS: Mapping[str, Callable[[Random, Split], Lesson]] = {
    "two_names": two_names, "fact": fact, "agreement": agreement, "counting": counting, "closing": closing
}  # fmt: skip


STORY_ENDS = (
    "So {a} and {b} went home together, and that night {a} dreamed of the {thing}.",
    '"You may keep the {thing}," said {b}, and {a} was very happy.',
    "And from that day on {a} and {b} were the best of friends.",
    "{a} never forgot the {place}, and {b} never forgot the {thing}.",
)
STORY_MIDDLES = (
    '"Where did you find that {thing}?" asked {b}. "I found it near the {place}," said {a}.',
    "{b} looked at the {thing} and wanted it very much. {a} saw this and gave the {thing} to {b}.",
    "But the {thing} was gone! {a} looked behind the {place}, and {b} under the tree. At last {b} found the {thing}.",
    '"Let us take the {thing} to the {place}," said {a}. "Yes," said {b}, "let us go at once."',
    "It began to rain, and {a} and {b} ran to the {place}. {b} held the {thing} so that it should not get wet.",
)
STORY_STARTS = (
    "Once upon a time there was a child named {a}, who had a {thing}. One day {a} met {b} at the {place}.",
    "{a} and {b} lived near the {place}. In the morning {a} found a {thing} on the road.",
    "There was once a little {thing} that belonged to {a}. {a} took it to the {place}, and there was {b}.",
)


def story(rng: Random, split: Split) -> str:
    """A few sentences in which two names, a place and a thing come back."""
    a, b = rng.sample(part(NAMES, split), 2)
    place, thing = rng.choice(part(PLACES, split)), rng.choice(part(THINGS, split))
    middles = rng.sample(STORY_MIDDLES, rng.randint(1, 3))
    text = " ".join([rng.choice(STORY_STARTS), *middles, rng.choice(STORY_ENDS)])
    return _with_an(text.format(a=a, b=b, place=place, thing=thing))
