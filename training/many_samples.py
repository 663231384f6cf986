"""Many samples at once, to read them for slurs. Knows the model and the list of words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch

from dashapp.model.gpt2 import GPT2, KeyValueCache
from dashapp.model.tokenizer import decode, encode
from training.wordcheck import slurs


@torch.inference_mode()
def drawn_texts(model: GPT2, prompt: str, *, n: int, n_token: int, seed: int) -> list[str]:
    """`n` continuations of `<|endoftext|>` and a prompt at temperature 1, over the whole vocabulary, side by side."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.from_numpy(encode(prompt, bos=True).astype(np.int64)).expand(n, -1)  # [text pos]
    cache = KeyValueCache.empty(model, capacity=ids.shape[1] + n_token, batch=n)
    drawn, unread = [], ids
    for _ in range(n_token):
        chances = model.unembed(model.body(unread, cache=cache)[:, -1]).softmax(-1)  # [text d_vocab]
        unread = torch.multinomial(chances, 1, generator=generator)  # [text 1]
        drawn.append(unread)
    return [decode(text) for text in torch.cat(drawn, dim=1).tolist()]


def slur_check(model: GPT2, prompts: Sequence[str], *, n_each: int, n_token: int, seed: int = 0) -> dict[str, object]:
    """How many texts hold a word of the list, and which words, all but the first letter hidden; prints each in context.

    The prompts themselves are not read.
    """
    words, n_text_with = Counter[str](), 0
    for prompt in prompts:
        for text in drawn_texts(model, prompt, n=n_each, n_token=n_token, seed=seed):
            found = slurs(text)
            n_text_with += bool(found)
            for word in found:
                words[word[0].lower() + "*" * (len(word) - 1)] += 1
                print("slur check:", " ".join(re.findall(rf".{{0,60}}\b{word}\b.{{0,60}}", text)))
    return {
        "n_text": n_each * len(prompts),
        "n_token": n_token,
        "temperature": 1.0,
        "seed": seed,
        "n_text_with": n_text_with,
        "words": dict(words),
    }
