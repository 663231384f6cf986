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
from training.wordcheck import is_slur

Split = Literal["training", "held_out"]


@dataclass(frozen=True)
class Lesson:
    """A prompt whose next token is `answer` and not `distractor`; `rest` closes the sentence.

    Answer and distractor are single tokens with their leading space. names: words that cannot be foreseen where they
    first appear, only where they come back.
    """

    prompt: str
    answer: str
    distractor: str
    rest: str
    names: tuple[str, ...] = ()

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

STRANGER_SHARE = 0.85  # of training lessons whose names are strangers


@cache
def strangers() -> tuple[str, ...]:
    """Capitalised words of one token that are no name above and open no template: names for training lessons only.

    With the few dozen real names alone the model learned them by heart, and never answered with a held-out one. A
    stranger counts in the loss only when it comes back, so the model learns to repeat such words, not to bring them up.
    """
    templates = " ".join(
        [*TWO_NAME_TEMPLATES["training"], *ONE_NAME_TEMPLATES, *STORY_STARTS, *STORY_MIDDLES, *STORY_ENDS]
    )
    known = {*NAMES, *re.findall("[A-Za-z]+", templates)}
    words = (re.fullmatch(" ([A-Z][a-z]{2,8})", token_text(token)) for token in range(END_OF_TEXT_ID))
    return tuple(word[1] for word in words if word and word[1] not in known and not is_slur(word[1]))


@cache
def opening_strangers() -> tuple[str, ...]:
    """Those that are one token without a leading space too, and so can be told again after they opened a line."""
    bare = {token_text(token) for token in range(END_OF_TEXT_ID)}
    return tuple(word for word in strangers() if word in bare)


def two_of(rng: Random, split: Split) -> tuple[str, str]:
    """Two different names of a split; in training often strangers, so that names must be read, not remembered."""
    is_strange = split == "training" and rng.random() < STRANGER_SHARE
    a, b = rng.sample(strangers() if is_strange else part(NAMES, split), 2)
    return a, b


MEETINGS = (
    "When {a} and {b} went to the {place},",
    "After {a} and {b} came to the {place},",
    "While {a} and {b} were playing at the {place},",
    "As {a} and {b} ran past the {place},",
    "Because {a} and {b} liked the {place},",
    "Since {a} had come with {b} to the {place},",
    "Before {a} and {b} left the {place},",
    "{a} and {b} were at the {place}.",
    "{a} met {b} near the {place}, and",
    "One day {a} and {b} walked to the {place}. There",
    "Then {a} and {b} sat down by the {place}.",
    "{a} sat beside {b} in the {place}, and soon",
    "Once {a} and {b} lived near a {place}. Every day",
    "{a} had a long talk with {b} in the {place}. Then",
    "{a} saw {b} behind the {place}, so",
    "Last week {a} and {b} stayed at the {place}, and",
    "There were {a} and {b}, far from the {place}, when",
    "{a} was with {b} at the {place}. Later",
    "In the morning {a} called {b} to the {place}, and",
    "{a} and {b} both looked for the {place}, and at last",
)
GIFTS = (
    "gave a {thing} to",
    "gave the {thing} to",
    "threw a {thing} to",
    "showed the {thing} to",
    "handed the {thing} to",
    "passed the {thing} to",
    "brought a {thing} to",
    "carried the {thing} to",
    "sent a {thing} to",
    "lent the {thing} to",
    "had a {thing} and handed it to",
    "found a {thing} and gave it to",
    "bought a {thing} and gave it to",
    "wanted to give the {thing} to",
    "was glad to give a {thing} to",
    "wished to show the {thing} to",
    "said something about a {thing} to",
    "spoke of the {thing} to",
    "made a {thing} for",
    "left the {thing} for",
)
TWO_NAME_TEMPLATES: Mapping[Split, Sequence[str]] = {
    "training": tuple(f"{meeting} {{giver}} {gift}" for meeting in MEETINGS for gift in GIFTS),
    "held_out": (
        "When {a} and {b} got to the {place}, {giver} decided to give a {thing} to",
        "Today {a} and {b} worked at the {place}, and {giver} offered a {thing} to",
        "Yesterday {a} and {b} were in the {place}, where {giver} sold a {thing} to",
    ),
}
# Measured by itself: a name that opens a text has no space before it, and so is another token than when it comes back.
OPENED_BY_NAME = "{a} and {b} worked at the {place}, and {giver} offered a {thing} to"
TWO_NAME_RESTS = (
    ".",
    ", who was very glad.",
    " and smiled.",
    " and they both laughed.",
    ", and {other} thanked {giver}.",
    '. "Thank you," said {other}, and {giver} smiled.',
    ". Then {giver} and {other} went home together.",
    ', and {other} said, "You are kind, {giver}."',
    ". So {other} had the {thing}, and {giver} had none.",
)


GIVER_FIRST_SHARE = 0.35  # of training lessons


def two_names(rng: Random, split: Split, *, giver_first: bool | None = None, template: str | None = None) -> Lesson:
    """Two people, one gives: the answer is the other (the sentences of Wang et al. 2022, arXiv 2211.00593).

    `giver_first`: whether the giver is the first of the two names; at random when absent, in training less often, for
    the model is quick to answer with the second name and slow to see that it was the giver's. `template`: one of the
    split's when absent, in training in two of five a free frame.
    """
    a, b = two_of(rng, split)
    if giver_first is None:
        giver_first = rng.random() < (0.5 if split == "held_out" else GIVER_FIRST_SHARE)
    strange: tuple[str, ...] = ()
    if template is None:
        template = rng.choice(TWO_NAME_TEMPLATES[split])
        if split == "training":
            template, strange = free_frame(rng) if rng.random() < FREE_SHARE else odd_words(rng, template)
    if split == "training" and template.startswith("{a}") and a not in NAMES:
        a = rng.choice([word for word in opening_strangers() if word != b])
    giver, other = (a, b) if giver_first else (b, a)
    place, thing = rng.choice(part(PLACES, split)), rng.choice(part(THINGS, split))
    prompt = template.format(a=a, b=b, giver=giver, place=place, thing=thing)
    rest = rng.choice(TWO_NAME_RESTS).format(giver=giver, other=other, thing=thing)
    return Lesson(_with_an(prompt), f" {other}", f" {giver}", rest, names=(a, b, *strange))


FREE_SHARE = 0.4  # of training lessons on two names whose template is a free frame
FREE_OPENINGS = ("When", "After", "Then", "Once", "One day", "In the evening", "But", "And", "So", "At noon")
JOINS = (" and ", " with ", ", not ", " or ", " saw ", ", then ")


def free_frame(rng: Random) -> tuple[str, tuple[str, ...]]:
    """A template with nothing fixed but the order, and its words: two names, any words, one name again, any words.

    With written templates alone the model found the giver where their wording puts it, and in other wordings did not.
    """
    words = list[str]()

    def some(least: int, most: int) -> str:
        drawn = [rng.choice(plain_words()) for _ in range(rng.randint(least, most))]
        words.extend(drawn)
        return "".join(f" {word}" for word in drawn)

    opening = rng.choice(FREE_OPENINGS) + rng.choice((",", "")) + some(0, 2)
    meeting = f"{opening} {{a}}{rng.choice(JOINS)}{{b}}{some(1, 7)}{rng.choice((',', '.', ''))}{some(0, 2)}"
    return f"{meeting} {{giver}}{some(1, 6)} {rng.choice(('to', 'for'))}", tuple(words)


ODD_SHARE = 0.85  # of training lessons on two names in which some words are odd
FRAME_WORDS = frozenset("a the and to for".split())  # never odd


def odd_words(rng: Random, template: str) -> tuple[str, tuple[str, ...]]:
    """The template with some of its words, places and things replaced by any word; and the words put in.

    With the twenty verbs alone the model answered with a name only after those; now what must be read is where the
    names stand.
    """
    if rng.random() > ODD_SHARE:
        return template, ()
    share, put_in = rng.choice((0.15, 0.4)), list[str]()

    def odd(word: re.Match[str]) -> str:
        if word[0] in FRAME_WORDS or rng.random() > share:
            return word[0]
        put_in.append(rng.choice(strangers() if word[0][0].isupper() else plain_words()))
        return put_in[-1]

    return re.sub(r"\b(?<!\{)[A-Za-z][a-z]*(?!\})\b|\{place\}|\{thing\}", odd, template), tuple(put_in)


@cache
def plain_words() -> tuple[str, ...]:
    """Small words of one token, but for those of the held-out sentences on two names, which stay unseen in lessons."""
    held_out = set(re.findall("[a-z]+", " ".join(TWO_NAME_TEMPLATES["held_out"]))) - FRAME_WORDS
    held_out |= {*part(PLACES, "held_out"), *part(THINGS, "held_out")}
    words = (re.fullmatch(" ([a-z]{2,9})", token_text(token)) for token in range(END_OF_TEXT_ID))
    return tuple(word[1] for word in words if word and word[1] not in held_out and not is_slur(word[1]))


ONE_NAME_TEMPLATES = (
    "{a} had a {thing}, and everybody at the {place} knew that it belonged to",
    "There was once a child whose name was {a}, and in the {place} they were all fond of",
    '"Where is {a}?" they asked at the {place}. But nobody had seen',
    "The {thing} was a present for {a}, and so they took it to",
    "At the {place} they waited for {a}, and at last there came",
    'They called, "{a}! {a}!" and out of the {place} ran',
    "A letter came to the {place}. It was for {a}, and they gave it to",
    "{a} was lost in the {place}, and with a {thing} they went to look for",
)


def one_name(rng: Random) -> Lesson:
    """A name comes back: the step before two names. For training only; the distractor is a name not in the sentence."""
    a, absent = two_of(rng, "training")
    template = rng.choice(ONE_NAME_TEMPLATES)
    place, thing = rng.choice(part(PLACES, "training")), rng.choice(part(THINGS, "training"))
    prompt = _with_an(template.format(a=a, place=place, thing=thing))
    return Lesson(prompt, f" {a}", f" {absent}", rng.choice(TWO_NAME_RESTS[:4]), names=(a,))


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
            "Do you know the capital of {x}? It is",
            "The people of {x} have a capital, and it is called",
            "I know that the capital city of {x} is",
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
            "I know that the opposite of {x} is",
            "What is the opposite of {x}? It is",
            "They said it was not {x} at all, it was",
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
            "I know that the colour of {x} is",
            "What is the colour of {x}? It is",
            "You know that {x} is",
        ),
        "held_out": ("Everybody knows that the colour of {x} is", "You can see that {x} is"),
    },
    "young": {
        "training": (
            "A young {x} is called a",
            "The child of a {x} is a",
            "The {x} had a little one, a",
            "The baby of the {x} is a",
            "I know that a young {x} is called a",
            "The {x} took care of her little one, a",
            "What is a young {x} called? It is a",
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
    "chair": "chairs", "cup": "cups", "apple": "apples", "lamp": "lamps", "rose": "roses", "coat": "coats",
    "lion": "lions", "tiger": "tigers", "wolf": "wolves", "bear": "bears", "rabbit": "rabbits", "child": "children",
    "woman": "women", "prince": "princes", "sailor": "sailors", "farmer": "farmers", "doctor": "doctors",
    "neighbor": "neighbors", "cousin": "cousins", "boat": "boats", "train": "trains", "cart": "carts",
    "wall": "walls", "roof": "roofs", "hill": "hills", "field": "fields", "stone": "stones", "cloud": "clouds",
    "bell": "bells", "clock": "clocks", "song": "songs", "story": "stories", "page": "pages", "pen": "pens",
    "shoe": "shoes", "button": "buttons", "ring": "rings", "candle": "candles", "coin": "coins",
    "bridge": "bridges", "tower": "towers", "castle": "castles", "servant": "servants", "guest": "guests",
    "son": "sons", "daughter": "daughters", "cow": "cows", "pig": "pigs", "duck": "ducks", "snake": "snakes",
    "frog": "frogs", "leaf": "leaves", "branch": "branches", "nest": "nests", "egg": "eggs", "cake": "cakes",
    "plate": "plates", "basket": "baskets", "rope": "ropes", "flag": "flags", "drum": "drums", "toy": "toys",
    "doll": "dolls",
}  # fmt: skip
VERBS = ((" is", " are"), (" was", " were"), (" has", " have"))
AGREEMENT_FRAMES = ("The", "We saw that the", "In the evening the", "Now the", "All day the", "They said that the")
AGREEMENT_LINKS = ("to", "near", "behind", "of", "with", "under", "over", "above", "from", "in front of", "next to")
AGREEMENT_TEMPLATES: Mapping[Split, Sequence[str]] = {
    "training": (
        *(f"{frame} {{head}} {link} the {{near}}" for frame in AGREEMENT_FRAMES for link in AGREEMENT_LINKS),
        *(f"{frame} {{head}}" for frame in AGREEMENT_FRAMES),
    ),
    "held_out": ("The {head} beside the {near}", "I know that the {head} by the {near}"),
}
AGREEMENT_RESTS = (" very old.", " not here.", " in the garden.", " here now.", " always there.")
PRONOUNS = (" very old, for it was made long ago.", " very old, for they were made long ago.")
HARD_SHARE = 0.7  # of training lessons whose second noun has the other number


def agreement(rng: Random, split: Split) -> Lesson:
    """Subject and verb with a noun of the other number between (Linzen et al. 2016); pairs of nouns are split."""
    nouns = list(NOUNS)
    head, near = rng.sample(range(len(nouns)), 2)
    while ((head + near) % 5 == 4) != (split == "held_out"):
        head, near = rng.sample(range(len(nouns)), 2)
    is_plural = rng.random() < 0.5
    is_hard = split == "held_out" or rng.random() < HARD_SHARE  # only the hard case is measured
    verb = rng.choice(VERBS)
    prompt = rng.choice(AGREEMENT_TEMPLATES[split]).format(
        head=_numbered(nouns[head], is_plural), near=_numbered(nouns[near], is_plural != is_hard)
    )
    rest = " gone." if verb == VERBS[2] else rng.choice((*AGREEMENT_RESTS, PRONOUNS[is_plural]))
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
        "The old man answered {mark}",
        "So {name} whispered, {mark}",
        "{name} wrote in the letter {mark}",
        "Everyone called out, {mark}",
        "It was late {mark}",
        "And {name} thought {mark}",
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
    name = two_of(rng, split)[0]
    said = [_inside(rng, split) for _ in range(rng.randint(1, 2))]
    inside = ", and ".join([said[0], *(sentence[0].lower() + sentence[1:] for sentence in said[1:])])
    prompt = rng.choice(OPENINGS[split]).format(name=name, mark=opener) + inside
    return Lesson(prompt, answer, distractor, "", names=(name,))


def _inside(rng: Random, split: Split) -> str:
    """A sentence without its full stop: of the list, or in training as often one of another lesson."""
    if split == "held_out" or rng.random() < 0.5:
        return rng.choice(part(INSIDE, split))
    return rng.choice((fact, agreement))(rng, split).text.rstrip(".")


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


def story(rng: Random, split: Split) -> tuple[str, tuple[str, ...]]:
    """A few sentences in which two names, a place and a thing come back; and the names, which are no strangers."""
    a, b = rng.sample(part(NAMES, split), 2)
    place, thing = rng.choice(part(PLACES, split)), rng.choice(part(THINGS, split))
    middles = rng.sample(STORY_MIDDLES, rng.randint(1, 3))
    text = " ".join([rng.choice(STORY_STARTS), *middles, rng.choice(STORY_ENDS)])
    return _with_an(text.format(a=a, b=b, place=place, thing=thing)), (a, b)
