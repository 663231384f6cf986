"""Tokens that a person types: one word, or words with + and − between them, and which tokens these are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from dashapp.errors import NotASum, NotOneToken
from dashapp.figures.tokens import plain_label
from dashapp.model.tokenizer import encode, token_text, token_texts

OPERATOR: Final = re.compile(r"\s+([+\N{MINUS SIGN}-])\s+")
SIGNED: Final = re.compile(r"\s*([+\N{MINUS SIGN}-])\s+(.*)", re.DOTALL)
QUOTES: Final = {"'": "'", '"': '"', "‘": "’", "“": "”"}
MOST_TERMS: Final = 8


@dataclass(frozen=True, slots=True)
class Term:
    """One token of a sum. sign: 1 or −1."""

    sign: int
    token: int


def terms_of(text: str, *, d_vocab: int) -> list[Term]:
    """The tokens of a sum such as "king − man + woman", each as `token_of` finds it. Raises: NotASum, NotOneToken."""
    led = SIGNED.fullmatch(text)
    first, rest = (led[1], led[2]) if led else ("+", text)
    words = OPERATOR.split(rest)
    signs = [first, *words[1::2]]
    if not all(word.strip() for word in words[::2]) or len(signs) > MOST_TERMS:
        raise NotASum(text)
    return [
        Term(1 if sign == "+" else -1, token_of(word, d_vocab=d_vocab))
        for sign, word in zip(signs, words[::2], strict=True)
    ]


def token_of(word: str, *, d_vocab: int) -> int:
    """The one token that a word names: as it stands within a text, after a blank, if that is a token, else without.

    In quotes, exactly what stands between them; "#1234" is the token of that number. Raises: NotOneToken.
    """
    word = word.strip()
    if re.fullmatch(r"#\d{1,6}", word):
        if (number := int(word[1:])) < d_vocab:
            return number
        raise NotOneToken(word, [])
    is_quoted = len(word) > 2 and QUOTES.get(word[0]) == word[-1]
    candidates = [word[1:-1]] if is_quoted else [f" {word}", word]
    found = [encode(candidate) for candidate in candidates]
    token = next((int(ids[0]) for ids in found if len(ids) == 1), None)
    if token is None or token >= d_vocab:
        raise NotOneToken(word, [plain_label(piece) for piece in token_texts(found[0])])
    return token


def said(terms: list[Term]) -> str:
    """A sum in words: "‘·king’ − ‘·man’ + ‘·woman’"."""
    parts = [f"{'+' if term.sign > 0 else '−'} ‘{plain_label(token_text(term.token))}’" for term in terms]
    return " ".join(parts).removeprefix("+ ")
