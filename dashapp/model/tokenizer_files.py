"""Is the tokenizer in a model's folder GPT-2's? Torch-free.

Prompts are always split by the bundled ranks, so a folder's own tokenizer files are only compared with them: other ids
would feed a model tokens that it never saw under those numbers. Knows the forms in which Hugging Face stores a
byte-level BPE; knows nothing of weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from dashapp.errors import ForeignTokenizer
from dashapp.model.tokenizer import END_OF_TEXT, END_OF_TEXT_ID, merge_ranks

N_BYTES = 256  # tokens 0..255 are single bytes; token 256 + i is made by merge i


def check_tokenizer(folder: Path) -> None:
    """Refuse a folder whose vocab.json, merges.txt or tokenizer.json is not GPT-2's; absent files are accepted.

    Raises: ForeignTokenizer.
    """
    vocab, merges, tokenizer = (folder / name for name in ("vocab.json", "merges.txt", "tokenizer.json"))
    if vocab.is_file():
        _check_vocabulary(vocab, _json_in(vocab))
    if merges.is_file():
        lines = _text_in(merges).splitlines()
        _check_merges(merges, [line for line in lines if line and not line.startswith("#version")])
    if tokenizer.is_file():
        _check_tokenizer_json(tokenizer, _json_in(tokenizer))


@cache
def byte_symbols() -> str:
    """The character that stands for each byte, by byte, in GPT-2's files: 256 characters that are all visible.

    Bytes that Latin-1 shows stand for themselves; the others, in order, for the characters from U+0100 on
    (Radford et al. 2019, the released encoder).
    """
    visible = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    hidden = [byte for byte in range(N_BYTES) if byte not in visible]
    return "".join(chr(byte if byte in visible else 0x100 + hidden.index(byte)) for byte in range(N_BYTES))


@cache
def vocabulary() -> Mapping[str, int]:
    """GPT-2's vocab.json: each token in visible characters → its id, 50,257 entries."""
    symbols = byte_symbols()
    tokens = {"".join(symbols[byte] for byte in token): rank for token, rank in merge_ranks().items()}
    return tokens | {END_OF_TEXT: END_OF_TEXT_ID}


def _check_tokenizer_json(path: Path, content: object) -> None:
    match content:
        case {"model": {"type": "BPE", "vocab": vocab, "merges": list(merges)}}:
            _check_vocabulary(path, vocab)
            _check_merges(path, merges)
        case {"model": {"type": str(kind)}} if kind != "BPE":
            raise ForeignTokenizer(path, f"its model is {kind}, not BPE")
        case _:
            raise ForeignTokenizer(path, "it has no BPE model with a vocab and merges")


def _check_vocabulary(path: Path, vocab: object) -> None:
    known = vocabulary()
    if vocab == known:
        return
    if not isinstance(vocab, dict):
        raise ForeignTokenizer(path, "its vocabulary is not a table of tokens")
    if len(vocab) != len(known):
        raise ForeignTokenizer(path, f"it has {len(vocab):,} tokens")
    token = next(token for token in vocab if vocab[token] != known.get(token))
    there = repr(known[token]) if token in known else "absent"
    raise ForeignTokenizer(path, f"token {token!r} is {vocab[token]!r} there and {there} in GPT-2's")


def _check_merges(path: Path, merges: Sequence[object]) -> None:
    """Merge i must make token 256 + i. Merges are 'a b' or ['a', 'b']."""
    made = [merge.replace(" ", "", 1) if isinstance(merge, str) else _joined(merge) for merge in merges]
    expected = list(vocabulary())[N_BYTES:-1]
    if len(made) != len(expected):
        raise ForeignTokenizer(path, f"it has {len(made):,} merges instead of {len(expected):,}")
    for i, (ours, theirs) in enumerate(zip(expected, made, strict=True)):
        if ours != theirs:
            raise ForeignTokenizer(path, f"merge {i:,} makes {theirs!r} where GPT-2's makes {ours!r}")


def _joined(merge: object) -> str:
    match merge:
        case [str(left), str(right)]:
            return left + right
    return repr(merge)  # equal to no token, so that the comparison names it


def _json_in(path: Path) -> object:
    try:
        return json.loads(_text_in(path))
    except (ValueError, RecursionError) as error:
        raise ForeignTokenizer(path, "it is not JSON") from error


def _text_in(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ForeignTokenizer(path, f"it cannot be read ({error})") from error
