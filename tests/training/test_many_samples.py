"""The slur check: what it draws is what the model would draw, and what it counts is what is there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dashapp.model.gpt2 import GPT2
from dashapp.model.tokenizer import decode, encode
from training import many_samples
from training.many_samples import drawn_texts, slur_check
from training.wordcheck import HASHES, SHORTENED, is_slur, slurs


def test_texts_are_drawn_from_the_chances_that_the_whole_pass_gives(text_model: GPT2) -> None:
    n_text, n_token = 3, 4
    texts = drawn_texts(text_model, "One two", n=n_text, n_token=n_token, seed=5)
    generator = torch.Generator().manual_seed(5)
    ids = torch.from_numpy(encode("One two", bos=True).astype(np.int64)).expand(n_text, -1)
    n_prompt = ids.shape[1]
    for _ in range(n_token):  # without the cache: every token read anew
        with torch.inference_mode():
            chances = text_model(ids)[:, -1].softmax(-1)
        ids = torch.cat([ids, torch.multinomial(chances, 1, generator=generator)], dim=1)
    assert texts == [decode(row) for row in ids[:, n_prompt:].tolist()]
    assert len(set(texts)) == n_text


def test_the_check_counts_texts_and_words_and_hides_the_words(
    text_model: GPT2, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["a fine day", "that Spick and spick", "no"]
    monkeypatch.setattr(many_samples, "drawn_texts", lambda *_, **__: texts)
    found = slur_check(text_model, ["", "Once"], n_each=3, n_token=7)
    assert (found["n_text"], found["n_text_with"], found["words"]) == (6, 2, {"s****": 4})
    assert "that Spick and" in capsys.readouterr().out


def test_words_are_known_by_hash_in_any_case_and_only_whole() -> None:
    assert slurs("A Spick, spicks; but no spickle and no house.") == ["Spick", "spicks"]
    assert is_slur("SPICK")
    assert len(HASHES) > 150
    assert {len(kept) for kept in HASHES} == {SHORTENED}
