from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashapp.errors import DamagedFile, EmptyPrompt, PromptTooLarge, PromptTooLong, UnencodablePrompt
from dashapp.model import tokenizer
from dashapp.model.tokenizer import (
    END_OF_TEXT,
    END_OF_TEXT_ID,
    RANKS_FILE,
    decode,
    decode_bytes,
    encode,
    encode_prompt,
    longest_token_bytes,
    merge_ranks,
    shortened,
    token_bytes,
    token_text,
    token_texts,
)

if TYPE_CHECKING:
    from transformers import GPT2Tokenizer

ODD_TEXTS = (
    "",
    " ",
    "\n\n\t  x  \r\n",
    "\x00\x01\x7f\x1b[31m",
    "naïve café — “quotes” …",
    "👩‍👩‍👧‍👦🏴‍☠️",
    "שלום, العالم",
    "\u202eright to left\u202c\u200b\ufeff",
    "日本語のテキスト",
    "I'll we've they'RE 's",
    "1234567890 1e-5",
    "  leading and trailing  ",
    END_OF_TEXT,
    f"a{END_OF_TEXT}b",
    "\u00a0\u2003\u3000x",
    "e\u0301 \U0001d54f",
)

utf8_texts = st.text(st.characters(exclude_categories=["Cs"]))  # Cs: halves of surrogate pairs


# Facts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ids"),
    [  # as OpenAI's and Hugging Face's GPT-2 tokenizers have them
        ("Hello world", [15496, 995]),
        (" the", [262]),
        ("!", [0]),
        ("\n", [198]),
        (" ", [220]),
        ("", []),
    ],
)
def test_known_texts_have_gpt2s_ids(text: str, ids: list[int]) -> None:
    assert encode(text).tolist() == ids


def test_there_are_gpt2s_50257_tokens() -> None:
    ranks = merge_ranks()
    assert sorted(ranks.values()) == list(range(50_256))
    assert token_bytes(END_OF_TEXT_ID) == END_OF_TEXT.encode()
    with pytest.raises(KeyError):
        token_bytes(50_257)


def test_the_first_256_tokens_are_the_bytes() -> None:
    """So that any text at all has an encoding."""
    assert {token_bytes(token) for token in range(256)} == {bytes([byte]) for byte in range(256)}


# Back and forth ------------------------------------------------------------------------------------------------------


@given(utf8_texts)
def test_decoding_gives_back_any_text(text: str) -> None:
    ids = encode(text)
    assert ids.dtype == np.int32
    assert decode(ids) == text
    assert b"".join(token_bytes(int(token)) for token in ids) == text.encode() == decode_bytes(ids)


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_decoding_gives_back_odd_texts(text: str) -> None:
    assert decode(encode(text)) == text


@given(st.lists(st.integers(0, 50_256), max_size=8))
def test_any_ids_have_a_text(ids: list[int]) -> None:
    """A sampled continuation may be no encoding of its own text, and may end inside a character."""
    assert decode(ids) == b"".join(map(token_bytes, ids)).decode(errors="replace")
    assert len(token_texts(ids)) == len(ids)


def test_a_token_that_is_a_piece_of_a_character_shows_its_bytes() -> None:
    ids = encode("🙂")
    assert token_texts(ids) == ["<F0 9F>", "<99 82>"]  # U+1F642 is F0 9F 99 82 in UTF-8
    assert decode(ids) == "🙂"
    assert decode(ids[:1]) == "\ufffd"


def test_a_token_that_is_a_character_shows_it() -> None:
    assert [token_text(int(token)) for token in encode("é\x00\n")] == ["é", "\x00", "\n"]


@pytest.mark.parametrize("half", ["\ud83d", "\ud83d\ude42"])
def test_halves_of_surrogate_pairs_are_refused_with_their_place(half: str) -> None:
    for refuse in (lambda: encode(f"ab{half}"), lambda: encode_prompt(f"ab{half}", n_ctx=99)):
        with pytest.raises(UnencodablePrompt, match="Character 3 is"):
            refuse()


def test_more_spaces_than_the_regular_expression_can_look_back_over_are_a_clear_error() -> None:
    with pytest.raises(ValueError, match="Regex"):
        encode(" " * 2_000_000 + "x")
    longest_prompt = " " * (1024 * longest_token_bytes() - 1) + "x"  # the longest that `encode_prompt` lets through
    assert decode(encode(longest_prompt)) == longest_prompt


# <|endoftext|> -------------------------------------------------------------------------------------------------------


@given(utf8_texts, utf8_texts)
def test_typed_end_of_text_is_text_unless_special_tokens_are_on(before: str, after: str) -> None:
    text = before + END_OF_TEXT + after
    assert END_OF_TEXT_ID not in encode(text)
    assert END_OF_TEXT_ID in encode(text, special_tokens=True)
    assert decode(encode(text, special_tokens=True)) == text


def test_special_tokens_are_read_inside_the_text() -> None:
    assert encode(f"!{END_OF_TEXT}!", special_tokens=True).tolist() == [0, END_OF_TEXT_ID, 0]


def test_bos_puts_one_end_of_text_in_front() -> None:
    assert encode("!", bos=True).tolist() == [END_OF_TEXT_ID, 0]
    assert encode("!").tolist() == [0]
    assert encode_prompt("!", n_ctx=9).tolist() == [END_OF_TEXT_ID, 0], "a prompt has it unless told otherwise"
    assert encode_prompt("!", n_ctx=9, bos=False).tolist() == [0]


# Limits --------------------------------------------------------------------------------------------------------------


def test_a_prompt_of_exactly_n_ctx_tokens_is_read_and_one_more_is_refused_with_both_numbers() -> None:
    assert len(encode_prompt("!?" * 6, n_ctx=13, bos=True)) <= 13
    assert len(encode_prompt(" a" * 12, n_ctx=13)) == 13  # and <|endoftext|>
    with pytest.raises(PromptTooLong) as refused:
        encode_prompt(" a" * 1_202, n_ctx=1_024)
    assert (refused.value.n_tokens, refused.value.n_ctx) == (1_203, 1_024)
    assert "at most 1,024" in str(refused.value)
    assert "has 1,203" in str(refused.value)
    assert "by 179" in str(refused.value)


def test_nothing_at_all_is_refused() -> None:
    with pytest.raises(EmptyPrompt):
        encode_prompt("", n_ctx=9, bos=False)
    assert encode_prompt("", n_ctx=9).tolist() == [END_OF_TEXT_ID]


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The texts that reach tiktoken, which takes time in proportion to them."""
    texts: list[str] = []
    encoding = tokenizer._encoding()

    class Counting:
        def encode(self, text: str, **options: object) -> list[int]:
            texts.append(text)
            return encoding.encode(text, disallowed_special=())

    monkeypatch.setattr(tokenizer, "_encoding", Counting)
    return texts


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("text", ["word " * 50, "🙂" * 50, "a" * 5000, "internationalisation " * 9, "\n \t" * 40])
def test_a_shortened_prompt_is_the_longest_beginning_that_fits(text: str, bos: bool) -> None:
    start = shortened(text, n_ctx=13, bos=bos)
    assert text.startswith(start)
    assert len(encode_prompt(start, n_ctx=13, bos=bos)) >= 12  # a character of several tokens may not fit whole
    longer = [encode(text[:end], bos=bos) for end in range(len(start) + 1, len(start) + 12)]
    assert any(len(ids) > 13 for ids in longer)


def test_half_of_a_surrogate_pair_has_no_shorter_form() -> None:
    with pytest.raises(UnencodablePrompt):
        shortened("\ud800" + "x" * 10_000, n_ctx=13)


def test_a_megabyte_is_refused_before_any_work(encoded: list[str]) -> None:
    with pytest.raises(PromptTooLarge, match=r"more than 131,072 bytes.*This one has 1,000,000"):
        encode_prompt("a" * 1_000_000, n_ctx=1_024)
    assert encoded == []
    encode_prompt("a", n_ctx=1_024)
    assert encoded == ["a"]


def test_no_prompt_that_fits_is_refused_by_its_bytes() -> None:
    """The longest token is 128 bytes: n_ctx of them are the largest prompt there is."""
    longest = max(merge_ranks(), key=len)
    assert len(longest) == longest_token_bytes() == 128
    assert len(encode_prompt(longest.decode() * 5, n_ctx=5, bos=False)) == 5


# The file of ranks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_file_of_ranks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    content = bytearray(RANKS_FILE.read_bytes())
    if damage == "cut":
        del content[-1:]
    else:
        content[1000] ^= 1
    file = tmp_path / "ranks"
    file.write_bytes(content)
    monkeypatch.setattr(tokenizer, "RANKS_FILE", file)
    with pytest.raises(DamagedFile, match="merge ranks"):
        merge_ranks.__wrapped__()


# Against Hugging Face ------------------------------------------------------------------------------------------------


def printable_bytes() -> dict[int, str]:
    """GPT-2's files write each byte as a visible character: itself where it is one, else the next from U+0100 on."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {byte: chr(256 + i) for i, byte in enumerate(hidden)}


def merge_of(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two tokens that a token was merged from: what merging by the lower ranks alone leaves of its bytes."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        candidates = [ranks.get(left + right, len(ranks)) for left, right in pairwise(parts)]
        i = min(range(len(candidates)), key=candidates.__getitem__)
        assert candidates[i] < ranks[token]
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    return parts[0], parts[1]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> GPT2Tokenizer:
    """Hugging Face's tokenizer, from vocab.json and merges.txt written from our ranks."""
    from transformers import GPT2Tokenizer  # takes seconds: not while tests are collected

    ranks, character = merge_ranks(), printable_bytes()

    def written(token: bytes) -> str:
        return "".join(character[byte] for byte in token)

    folder = tmp_path_factory.mktemp("tokenizer")
    vocabulary = {written(token): rank for token, rank in ranks.items()} | {END_OF_TEXT: END_OF_TEXT_ID}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    longer = sorted((token for token in ranks if len(token) > 1), key=ranks.__getitem__)
    merges = (" ".join(map(written, merge_of(token, ranks))) for token in longer)
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges), encoding="utf-8")
    return GPT2Tokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))


@pytest.mark.reference
def test_ids_are_those_of_hugging_faces_tokenizer(reference: GPT2Tokenizer) -> None:
    texts = [*ODD_TEXTS, Path(__file__).read_text(encoding="utf-8"), RANKS_FILE.read_text(encoding="utf-8")[:20_000]]
    for text in texts:  # theirs reads <|endoftext|> as the token
        assert encode(text, special_tokens=True).tolist() == reference(text)["input_ids"], text
