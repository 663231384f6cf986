"""Tokens as labels of axes and in hovers: whitespace visible, nothing taken for markup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

SPACE: Final = "·"
MARKS: Final = {" ": SPACE, "\n": "↵", "\t": "⇥", "\r": "␍"}
MARKUP: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}  # Plotly reads a few tags of HTML in any text
LONGEST: Final = 16
MOST_LABELS: Final = 60  # more do not fit beside each other; the rest is on hover
MOST_NARROW: Final = 16

# Bidirectional controls would turn the text around them; zero-width characters would hide.
INVISIBLE: Final = {*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF, 0x061C}


def label(text: str, *, longest: int = LONGEST) -> str:
    """One token as a label in a figure: '·cat' for ' cat'."""
    return "".join(MARKUP.get(character, character) for character in plain_label(text, longest=longest))


def plain_label(text: str, *, longest: int = LONGEST) -> str:
    """The same for text outside figures, which reads no markup."""
    shown = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join(_shown(character) for character in shown)


def running_text(texts: Sequence[str]) -> str:
    """Tokens as one line of text outside figures: spaces as they are, all that cannot be seen shown."""
    return "".join(" " if character == " " else _shown(character) for text in texts for character in text)


def ticks(texts: Sequence[str], *, is_narrow: bool = False) -> tuple[list[int], list[str]]:
    """Positions and labels for a token axis: all of them, or every n-th where they would not be readable."""
    step = max(1, -(-len(texts) // (MOST_NARROW if is_narrow else MOST_LABELS)))
    places = list(range(0, len(texts), step))
    return places, [label(texts[place]) for place in places]


def _shown(character: str) -> str:
    if character in MARKS:
        return MARKS[character]
    if ord(character) in INVISIBLE or not character.isprintable():
        return f"[{ord(character):X}]"
    return character
