"""The books the demo model reads: the file is checked, split into books, tokenised.

Knows where the text comes from and which books are held out; knows nothing of models. The text itself is no part of the
project: `books.tsv` lists what it holds, and the sha256 below says which file it must be.
"""

from __future__ import annotations

import hashlib
import lzma
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dashapp.model.tokenizer import encode
from training.wordcheck import slurs

CORPUS_SHA256 = "259fa3946d582cf74456918a27c13d08c0879256e4a5217237ba3437b907db68"  # of the .xz file
BOOK_LIST = Path(__file__).with_name("books.tsv")
END_OF_TEXT = "<|endoftext|>"
N_HELD_OUT = 10  # books


class CorpusError(Exception):
    """The corpus file is absent or not the one that the weights were made from."""


@dataclass(frozen=True)
class Corpus:
    """Token ids of the books, uint16 [pos] each, in the order of the file; `held_out` is never trained on."""

    training: tuple[np.ndarray, ...]
    held_out: tuple[np.ndarray, ...]

    @property
    def n_training_token(self) -> int:
        return sum(map(len, self.training))


def read_corpus(path: Path | None, *, expected_sha256: str = CORPUS_SHA256) -> Corpus:
    """The tokenised books of a corpus file; those trained on without the lines that hold a word of `wordcheck`.

    Raises: CorpusError when the file is absent or has another hash.
    """
    raw = _verified_bytes(path, expected_sha256)
    texts = [text.strip() for text in lzma.decompress(raw).decode("ascii").split(END_OF_TEXT)]
    books = [text for text in texts if text]
    held_out = set(held_out_books(len(books)))
    return Corpus(
        training=tuple(_tokens(_clean(text)) for book, text in enumerate(books) if book not in held_out),
        held_out=tuple(_tokens(books[book]) for book in sorted(held_out)),
    )


def _tokens(text: str) -> np.ndarray:
    return encode(text + "\n").astype(np.uint16)


def _clean(text: str) -> str:
    """Without the lines, which are paragraphs, that hold a word of `wordcheck`: most of them name an animal by it."""
    return "\n".join(line for line in text.split("\n") if not slurs(line))


def held_out_books(n_book: int, n_held_out: int = N_HELD_OUT) -> list[int]:
    """Indices of the held-out books, spread evenly over the file, whose books run from simple to hard."""
    return [int((part + 0.5) * n_book / n_held_out) for part in range(n_held_out)]


def _verified_bytes(path: Path | None, expected_sha256: str) -> bytes:
    wanted = f"the text has sha256 {expected_sha256} (xz) and holds the books listed in {BOOK_LIST}"
    if path is None or not path.is_file():
        shown = "no file was named" if path is None else f"there is no file {path}"
        raise CorpusError(f"Training needs the corpus, which is not part of the project; {shown}. Get it: {wanted}.")
    raw = path.read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    if found != expected_sha256:
        raise CorpusError(
            f"The corpus must be the listed one; {path} has sha256 {found}. Get the right file: {wanted}."
        )
    return raw
