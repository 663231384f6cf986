"""Tokens by their names in the fields of a page, and suggestions while one is typed. Knows no page."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from dashapp.figures.tokens import SPACE, label, plain_label
from dashapp.model.tokenizer import END_OF_TEXT_ID, token_text
from dashapp.panels.terms import token_of

N_SUGGESTED: Final = 12
LONGEST_TYPED: Final = 60  # characters
NUMBERED: Final = re.compile(r"#(\d{1,6})$")  # "·cat #3797", as suggestions are written


def named(token: int) -> str:
    """A token as the fields show it, and as `meant` reads it: '·cat #3797'."""
    return f"{plain_label(token_text(token))} #{token}"


def meant(typed: str, d_vocab: int) -> int:
    """The token of a name as `named` writes it, or else as `terms.token_of` finds it. Raises: NotOneToken."""
    numbered = NUMBERED.search(typed.strip())
    word = f"#{numbered[1]}" if numbered else typed.replace(SPACE, " ")
    return token_of(word, d_vocab=d_vocab)


@cache
def all_names() -> list[str]:
    """Every token's label as figures have it, by its id: 0.6 MB, fetched when a figure first needs them."""
    return [label(token_text(token)) for token in range(END_OF_TEXT_ID + 1)]


def suggestions(typed: str, d_vocab: int) -> list[int]:
    """Tokens that begin with what is typed, after a space or not, then ones that hold it: shortest first."""
    wanted = typed.replace(SPACE, " ").strip().lower()
    if not wanted or NUMBERED.search(typed):
        return []
    begin: list[int] = []
    hold: list[int] = []
    for token, text in enumerate(_lowered()[:d_vocab]):
        if wanted in text:
            (begin if text.lstrip(" ").startswith(wanted) else hold).append(token)
    by_length = {token: len(_lowered()[token]) for token in (*begin, *hold)}
    return [*sorted(begin, key=by_length.__getitem__), *sorted(hold, key=by_length.__getitem__)][:N_SUGGESTED]


@cache
def _lowered() -> list[str]:
    return [token_text(token).lower() for token in range(END_OF_TEXT_ID + 1)]
