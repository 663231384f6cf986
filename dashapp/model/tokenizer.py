"""GPT-2's byte-level BPE tokenizer, from the merge ranks bundled beside this file. Torch-free; needs no network.

Text → UTF-8 bytes → pieces (by a regular expression) → merges by rank → ids. A token is a string of bytes, not of
characters: an emoji may be cut in the middle. Knows text and ids; knows nothing of models.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import tiktoken

from dashapp.errors import DamagedFile, EmptyPrompt, PromptTooLarge, PromptTooLong, UnencodablePrompt

END_OF_TEXT = "<|endoftext|>"
END_OF_TEXT_ID = 50_256

RANKS_FILE = Path(__file__).with_name("r50k_base.tiktoken")
RANKS_SHA256 = "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"

# How GPT-2 cuts text before merging: contractions, words, numbers and signs with at most one space before, then spaces.
PIECES = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


@cache
def merge_ranks() -> dict[bytes, int]:
    """Token bytes → id (= merge rank), 50,256 entries; `<|endoftext|>` is not among them. Raises: DamagedFile."""
    content = RANKS_FILE.read_bytes()
    if hashlib.sha256(content).hexdigest() != RANKS_SHA256:
        raise DamagedFile(RANKS_FILE, "its hash is not that of GPT-2's merge ranks")
    rows = (line.split() for line in content.splitlines())
    return {base64.b64decode(token): int(rank) for token, rank in rows}


@cache
def _encoding() -> tiktoken.Encoding:
    return tiktoken.Encoding(
        name="gpt2",
        pat_str=PIECES,
        mergeable_ranks=merge_ranks(),
        special_tokens={END_OF_TEXT: END_OF_TEXT_ID},
    )


@cache
def longest_token_bytes() -> int:
    """Bytes of the longest token: no prompt of n tokens has more than n times as many."""
    return max(map(len, merge_ranks()))


def encode(text: str, *, bos: bool = False, special_tokens: bool = False) -> np.ndarray:
    """Token ids, int32 [pos]; decode(encode(text)) == text.

    bos: put `<|endoftext|>` in front, as in training. special_tokens: read `<|endoftext|>` inside the text as the
    token; otherwise it is the 13 characters that somebody typed.
    Raises: UnencodablePrompt when the text has half of a surrogate pair, which UTF-8 cannot hold; ValueError for about
    a million spaces in a row, more than the regular expression looks back over.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UnencodablePrompt(error.start, text[error.start]) from error
    allowed = {END_OF_TEXT} if special_tokens else set[str]()
    ids = _encoding().encode(text, allowed_special=allowed, disallowed_special=())
    return np.array([END_OF_TEXT_ID] * bos + ids, dtype=np.int32)


def encode_prompt(text: str, *, n_ctx: int, bos: bool = True, special_tokens: bool = False) -> np.ndarray:
    """Token ids of a prompt that a model with `n_ctx` positions can read, int32 [pos], at least one.

    Raises: PromptTooLarge (before any work: by its bytes it cannot fit), PromptTooLong, EmptyPrompt,
    UnencodablePrompt.
    """
    limit_bytes = n_ctx * longest_token_bytes()
    size_bytes = len(text.encode(errors="replace"))
    if size_bytes > limit_bytes:
        raise PromptTooLarge(size_bytes, limit_bytes)
    ids = encode(text, bos=bos, special_tokens=special_tokens)
    if len(ids) > n_ctx:
        raise PromptTooLong(len(ids), n_ctx)
    if not len(ids):
        raise EmptyPrompt
    return ids


def shortened(text: str, *, n_ctx: int, bos: bool = True) -> str:
    """The longest beginning of a prompt that ends between two of its tokens, or nearly, and fits into the context.

    Cut at a token, for a cut inside a word would make other tokens of it; a character is never cut. text: one that
    `encode_prompt` refuses as too long or too large. Raises: UnencodablePrompt.
    """
    room = n_ctx - bos
    ids = encode(text[: n_ctx * longest_token_bytes()])[:room]  # no character is less than a byte
    start = decode_bytes(ids).decode(errors="ignore")
    while len(encode(start)) > room:  # what is left of a cut word may take more tokens than it did
        start = start[:-1]
    return start


def decode(ids: Sequence[int] | np.ndarray) -> str:
    """The text of token ids; bytes that are not UTF-8 become U+FFFD, one per broken sequence."""
    return decode_bytes(ids).decode(errors="replace")


def decode_bytes(ids: Sequence[int] | np.ndarray) -> bytes:
    """The bytes of token ids, joined."""
    return _encoding().decode_bytes([int(token) for token in ids])


def token_bytes(token: int) -> bytes:
    """The bytes of one token. Raises: KeyError for an id that no token has."""
    return _encoding().decode_single_token_bytes(token)


def token_text(token: int) -> str:
    """One token as text, or its bytes in hexadecimal, as in '<F0 9F>', when they are not UTF-8 alone."""
    raw = token_bytes(token)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return f"<{raw.hex(' ').upper()}>"


def token_texts(ids: Sequence[int] | np.ndarray) -> list[str]:
    """`token_text` of each id. For the exact text of several tokens use `decode`: these pieces need not join."""
    return [token_text(int(token)) for token in ids]
