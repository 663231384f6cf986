from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from dashapp.errors import ForeignTokenizer
from dashapp.model.tokenizer import merge_ranks
from dashapp.model.tokenizer_files import byte_symbols, check_tokenizer, vocabulary


@pytest.fixture(scope="module")
def merges() -> list[tuple[str, str]]:
    """GPT-2's merges in visible characters: token 256 + i from the two tokens that its bytes merge to before it."""
    ranks, symbols = merge_ranks(), byte_symbols()
    pairs = []
    for token, rank in ranks.items():
        parts = [bytes([byte]) for byte in token]
        while len(parts) > 2:
            costs = [ranks.get(left + right, rank) for left, right in pairwise(parts)]
            i = costs.index(min(costs))
            assert costs[i] < rank
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        if len(parts) == 2:
            pairs.append(("".join(symbols[b] for b in parts[0]), "".join(symbols[b] for b in parts[1])))
    return pairs


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def tokenizer_json(vocab: object, merges: object, kind: str = "BPE") -> dict[str, object]:
    return {"version": "1.0", "normalizer": None, "model": {"type": kind, "vocab": vocab, "merges": merges}}


def swapped(vocab: dict[str, int]) -> dict[str, int]:
    return vocab | {"Ġthe": vocab["Ġof"], "Ġof": vocab["Ġthe"]}


# GPT-2's own ---------------------------------------------------------------------------------------------------------


def test_a_byte_is_shown_as_one_visible_character() -> None:
    symbols = byte_symbols()
    assert len(set(symbols)) == 256
    assert (symbols[ord("A")], symbols[ord(" ")], symbols[ord("\n")], symbols[0]) == ("A", "Ġ", "Ċ", "Ā")
    assert not any(symbol.isspace() for symbol in symbols)


@pytest.mark.reference
def test_byte_symbols_are_hugging_faces() -> None:
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    assert dict(enumerate(byte_symbols())) == bytes_to_unicode()


def test_a_folder_without_tokenizer_files_is_accepted(tmp_path: Path) -> None:
    check_tokenizer(tmp_path)


def test_gpt2s_own_files_are_accepted(tmp_path: Path, merges: list[tuple[str, str]]) -> None:
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    write_json(tmp_path / "vocab.json", vocabulary())
    (tmp_path / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    check_tokenizer(tmp_path)


@pytest.mark.parametrize("as_pairs", [False, True])
def test_both_forms_of_tokenizer_json_are_accepted(
    tmp_path: Path, merges: list[tuple[str, str]], as_pairs: bool
) -> None:
    rows = [list(pair) if as_pairs else " ".join(pair) for pair in merges]
    write_json(tmp_path / "tokenizer.json", tokenizer_json(vocabulary(), rows))
    check_tokenizer(tmp_path)


@pytest.mark.reference
def test_what_hugging_face_saves_for_gpt2_is_accepted(tmp_path: Path, merges: list[tuple[str, str]]) -> None:
    from transformers import GPT2Tokenizer

    GPT2Tokenizer(vocab=dict(vocabulary()), merges=list(merges)).save_pretrained(tmp_path)
    assert (tmp_path / "tokenizer.json").exists()
    check_tokenizer(tmp_path)


# Others' -------------------------------------------------------------------------------------------------------------


def test_a_vocabulary_with_other_ids_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "vocab.json", swapped(dict(vocabulary())))
    with pytest.raises(ForeignTokenizer, match="token 'Ġthe' is 286 there and 262 in GPT-2's"):
        check_tokenizer(tmp_path)


def test_a_vocabulary_with_another_token_is_refused(tmp_path: Path) -> None:
    vocab = dict(vocabulary())
    vocab["<|pad|>"] = vocab.pop("<|endoftext|>")
    write_json(tmp_path / "vocab.json", vocab)
    with pytest.raises(ForeignTokenizer, match=r"'<\|pad\|>' is 50256 there and absent in GPT-2's"):
        check_tokenizer(tmp_path)


def test_a_vocabulary_of_another_size_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "vocab.json", {"a": 0, "b": 1})
    with pytest.raises(ForeignTokenizer, match="it has 2 tokens"):
        check_tokenizer(tmp_path)


def test_merges_in_another_order_are_refused(tmp_path: Path, merges: list[tuple[str, str]]) -> None:
    other = [merges[1], merges[0], *merges[2:]]
    (tmp_path / "merges.txt").write_text("\n".join(map(" ".join, other)), encoding="utf-8")
    with pytest.raises(ForeignTokenizer, match="merge 0 makes 'Ġa' where GPT-2's makes 'Ġt'"):
        check_tokenizer(tmp_path)


def test_merges_of_another_number_are_refused(tmp_path: Path) -> None:
    (tmp_path / "merges.txt").write_text("#version: 0.2\nĠ t\n", encoding="utf-8")
    with pytest.raises(ForeignTokenizer, match="it has 1 merges instead of 50,000"):
        check_tokenizer(tmp_path)


def test_a_tokenizer_that_is_not_bpe_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "tokenizer.json", tokenizer_json({}, [], kind="Unigram"))
    with pytest.raises(ForeignTokenizer, match="its model is Unigram, not BPE"):
        check_tokenizer(tmp_path)


def test_a_tokenizer_json_with_other_ids_is_refused(tmp_path: Path, merges: list[tuple[str, str]]) -> None:
    write_json(tmp_path / "tokenizer.json", tokenizer_json(swapped(dict(vocabulary())), [*map(list, merges)]))
    with pytest.raises(ForeignTokenizer, match="token 'Ġthe'"):
        check_tokenizer(tmp_path)


@pytest.mark.parametrize("content", [[], {}, {"model": None}, {"model": {"type": "BPE", "vocab": {}}}])
def test_a_tokenizer_json_without_a_model_is_refused(tmp_path: Path, content: object) -> None:
    write_json(tmp_path / "tokenizer.json", content)
    with pytest.raises(ForeignTokenizer, match="it has no BPE model with a vocab and merges"):
        check_tokenizer(tmp_path)


def test_merges_of_an_odd_form_are_refused(tmp_path: Path, merges: list[tuple[str, str]]) -> None:
    write_json(tmp_path / "tokenizer.json", tokenizer_json(vocabulary(), [["Ġ", "t", "x"], *map(list, merges[1:])]))
    with pytest.raises(ForeignTokenizer, match="merge 0 makes"):
        check_tokenizer(tmp_path)


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt", "tokenizer.json"])
def test_a_file_that_is_not_text_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ForeignTokenizer, match="it cannot be read"):
        check_tokenizer(tmp_path)


@pytest.mark.parametrize("content", ["{", "[" * 100_000])
def test_a_file_that_is_not_json_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "vocab.json").write_text(content)
    with pytest.raises(ForeignTokenizer, match="it is not JSON"):
        check_tokenizer(tmp_path)
