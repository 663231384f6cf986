"""The corpus file: the right one is read and split, any other is refused with what is needed to find it."""

from __future__ import annotations

import hashlib
import itertools
import lzma
from pathlib import Path

import pytest

import training.corpus
from dashapp.model.tokenizer import decode
from training import evaluate, train
from training.corpus import BOOK_LIST, CORPUS_SHA256, CorpusError, held_out_books, read_corpus


@pytest.fixture
def small_corpus(tmp_path: Path) -> tuple[Path, str]:
    """Twenty books of one sentence each, and the file's hash."""
    path = tmp_path / "books.txt.xz"
    raw = lzma.compress("<|endoftext|>".join(f"Book {book} ends.\n" for book in range(20)).encode())
    path.write_bytes(raw)
    return path, hashlib.sha256(raw).hexdigest()


@pytest.mark.parametrize("command", [train.main, evaluate.main], ids=["train", "evaluate"])
def test_without_the_corpus_a_command_names_file_hash_and_list_and_stops(
    command: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(command)
    assert command(["--corpus", str(tmp_path / "absent.xz")]) == 2
    said = capsys.readouterr().err
    assert "absent.xz" in said
    assert CORPUS_SHA256 in said
    assert str(BOOK_LIST) in said


def test_another_file_is_refused_with_both_hashes(small_corpus: tuple[Path, str]) -> None:
    path, sha256 = small_corpus
    with pytest.raises(CorpusError) as refused:
        read_corpus(path)
    assert sha256 in str(refused.value)
    assert CORPUS_SHA256 in str(refused.value)


def test_books_are_split_and_none_is_lost(small_corpus: tuple[Path, str]) -> None:
    path, sha256 = small_corpus
    corpus = read_corpus(path, expected_sha256=sha256)
    assert len(corpus.held_out) == 10
    assert len(corpus.training) == 10
    assert len({tuple(book) for book in (*corpus.training, *corpus.held_out)}) == 20


def test_paragraphs_with_a_slur_are_not_trained_on_and_are_measured_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training.corpus, "slurs", lambda line: [word for word in line.split() if word == "ugly"])
    raw = lzma.compress("<|endoftext|>".join(f"Book {book}.\n\nAn ugly word.\n\nEnd.\n" for book in range(20)).encode())
    path = tmp_path / "books.txt.xz"
    path.write_bytes(raw)
    corpus = read_corpus(path, expected_sha256=hashlib.sha256(raw).hexdigest())
    assert not any("ugly" in decode(book) for book in corpus.training)
    assert all("Book " in decode(book) and "End." in decode(book) for book in corpus.training)
    assert all("ugly" in decode(book) for book in corpus.held_out)


def test_held_out_books_are_spread_over_the_list() -> None:
    held_out = held_out_books(179)
    gaps = {later - earlier for earlier, later in itertools.pairwise(held_out)}
    assert len(held_out) == 10
    assert gaps <= {17, 18}
    assert held_out[0] < 18
    assert held_out[-1] >= 179 - 18


def test_the_committed_list_names_every_book_and_holds_no_text() -> None:
    rows = [line.split("\t") for line in BOOK_LIST.read_text().splitlines()]
    assert len(rows) == 1 + 179
    assert {len(row) for row in rows} == {6}
    assert max(map(len, BOOK_LIST.read_text().splitlines())) < 400
