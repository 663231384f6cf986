"""The examples of the app's prompt bar: prompt, page, selection and one sentence, from what was measured.

Heads come from `measured.json` and numbers from a run of the model on the prompt; `training.evaluate` writes both
files. A position counts tokens from 0, and token 0 is `<|endoftext|>`, which the app puts in front of every prompt.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dashapp.model.gpt2 import GPT2
from dashapp.model.tap import Tap
from dashapp.model.tokenizer import encode, token_text
from training.attribution import head_attribution

GENERATION, ATTENTION = "/", "/attention"
STORY_PROMPT = "Once upon a time there was a little girl who lived in"
REPEATED_WORDS = " lamp seven river coat blue window horse paper"
SENTENCE = "The old man looked at the sea and thought of his house"
NAMES_PROMPT, RIGHT_NAME, OTHER_NAME = "When Mary and John went to the store, John gave a drink to", " Mary", " John"
FACT_PROMPT, FACT = "Everybody knows that the capital of France is", " Paris"
COUNTING_PROMPT, NEXT_ITEM = "Monday, Tuesday, Wednesday, Thursday,", " Friday"
HIGH_SCORE = 0.5  # of a head that may be shown for what its score measures
SKETCHED = "It was set by hand before training, and trained on."  # `training.initial`
KNOWS_NAMES = 0.9  # least share of two-name sentences answered rightly, in both orders, to name no limit


@dataclass(frozen=True)
class Selection:
    """What the app selects: a token's position, and a head; None where nothing of the kind is selected."""

    pos: int | None = None
    layer: int | None = None
    head: int | None = None


@dataclass(frozen=True)
class Example:
    """name: what the phenomenon is called in code; label: on the button; says: what to look at, one sentence."""

    name: str
    label: str
    prompt: str
    page: str
    selection: Selection
    says: str


class Run:
    """One pass over a prompt: its tokens (int, from `<|endoftext|>` on), patterns [layer head query key], chances."""

    def __init__(self, model: GPT2, prompt: str) -> None:
        self.ids = encode(prompt, bos=True).astype(np.int64)
        seen = Tap.reading("pattern")
        with torch.inference_mode():
            logits = model(torch.from_numpy(self.ids)[None], tap=seen)[0]
        self.pattern = np.stack(
            [seen.activations["pattern", layer][0].numpy() for layer in range(model.config.n_layer)]
        )
        self.chances = logits[-1].double().softmax(-1).numpy()  # [d_vocab], of the next token

    @property
    def last(self) -> int:
        return len(self.ids) - 1

    def shown(self, pos: int) -> str:
        return quoted(self.ids[pos])

    def guess(self, right: str) -> str:
        """What the model takes for the next token, beside the right one."""
        token, best = int(encode(right)[0]), int(self.chances.argmax())
        if token == best:
            return f"the most probable next token is {quoted(token)}, with {percent(self.chances[token])}"
        rest = f"{quoted(token)} has {percent(self.chances[token])}"
        return f"the most probable next token is {quoted(best)}, with {percent(self.chances[best])}; {rest}"


def quoted(token: int) -> str:
    return f"“{token_text(int(token)).strip()}”"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "less than 1 %"


def examples(model: GPT2, measured: Mapping[str, Any]) -> list[Example]:
    """One example for each phenomenon; a kind of head that the weights have not is left out."""
    return [
        story(model),
        *induction(model, measured["heads"]),
        *previous_token(model, measured["heads"]),
        two_names(model, measured),
        answered(model, "fact", "A fact", FACT_PROMPT, FACT),
        answered(model, "counting", "Days in order", COUNTING_PROMPT, NEXT_ITEM),
    ]


def story(model: GPT2) -> Example:
    run = Run(model, STORY_PROMPT)
    says = (
        "The model goes on in the manner of the children's books and small stories it read; look at what else it might "
        "have said."
    )
    return Example("story", "A story", STORY_PROMPT, GENERATION, Selection(pos=run.last), says)


def induction(model: GPT2, heads: Mapping[str, Any]) -> Iterator[Example]:
    """A list of words said twice, the head whose stripe shows best, and the word of the second list that shows it best.

    Word n of the second list (query n_word + n) looks at word n + 1 of the first.
    """
    run = Run(model, REPEATED_WORDS * 2)
    n_word = run.last // 2
    queries = np.arange(n_word + 1, 2 * n_word)
    shown = run.pattern[:, :, queries, queries - n_word + 1]  # [layer head query]
    found = most_visible(heads["scores"]["induction"], shown.mean(-1))
    if found is None:
        return
    layer, head = found
    pos = int(queries[shown[layer, head].argmax()])
    key = pos - n_word + 1
    says = (
        f"Layer {layer}, head {head} is an induction head: {run.shown(pos)} looks at {run.shown(key)}, which came "
        f"after the earlier {run.shown(pos)}, with weight {run.pattern[layer, head, pos, key]:.2f}. {SKETCHED}"
    )
    yield Example("induction", "Repeated words", REPEATED_WORDS * 2, ATTENTION, Selection(pos, layer, head), says)


def previous_token(model: GPT2, heads: Mapping[str, Any]) -> Iterator[Example]:
    run = Run(model, SENTENCE)
    queries = np.arange(2, run.last + 1)  # token 1 has only `<|endoftext|>` before it
    shown = run.pattern[:, :, queries, queries - 1]  # [layer head query]
    found = most_visible(heads["scores"]["previous_token"], shown.mean(-1))
    if found is None:
        return
    layer, head = found
    pos = int(queries[shown[layer, head].argmax()])
    says = (
        f"Layer {layer}, head {head} is a previous-token head: {run.shown(pos)} looks at {run.shown(pos - 1)}, the "
        f"token before it, with weight {run.pattern[layer, head, pos, pos - 1]:.2f}. {SKETCHED}"
    )
    yield Example("previous_token", "One token back", SENTENCE, ATTENTION, Selection(pos, layer, head), says)


def two_names(model: GPT2, measured: Mapping[str, Any]) -> Example:
    """The sentence of Wang et al. 2022, at the head that writes most towards the right name over the other."""
    run, best = Run(model, NAMES_PROMPT), measured["heads"]["best"]["name"]
    layer, head = best["layer"], best["head"]
    ids = torch.from_numpy(run.ids)[None]
    right, other = int(encode(RIGHT_NAME)[0]), int(encode(OTHER_NAME)[0])
    written = float(head_attribution(model, ids, right, other).by_head[layer, head])
    if written > 0 and run.chances[right] > run.chances[other]:
        says = (
            f"After {run.shown(run.last)} {run.guess(RIGHT_NAME)}; layer {layer}, head {head} writes {signed(written)} "
            f"nats towards it over {quoted(other)}: see where the last token looks.{limits_of_names(measured)}"
        )
    else:
        says = (
            f"The answer would be {quoted(right)}, but {run.guess(RIGHT_NAME)}: see where the last token looks."
            f"{limits_of_names(measured)}"
        )
    return Example("two_names", "Two names", NAMES_PROMPT, ATTENTION, Selection(run.last, layer, head), says)


def limits_of_names(measured: Mapping[str, Any]) -> str:
    """A sentence, after a space, on sentences like this with names of no lesson; none where the model knows those too.

    The names of the example were in lessons.
    """
    first, second = (measured["lessons"][f"two_names_giver_{order}"]["accuracy"] for order in ("first", "second"))
    if min(first, second) >= KNOWS_NAMES:
        return ""
    return (
        f" With names that no lesson used, the model is right in {percent(first)} of such sentences when the first "
        f"name gives, and in {percent(second)} when the second does."
    )


def answered(model: GPT2, name: str, label: str, prompt: str, answer: str) -> Example:
    """A prompt whose next token the lessons taught."""
    run = Run(model, prompt)
    says = f"After {run.shown(run.last)} {run.guess(answer)}. Made-up lessons of its training hold such sentences."
    return Example(name, label, prompt, GENERATION, Selection(pos=run.last), says)


def signed(nats: float) -> str:
    return f"{nats:+.2f}".replace("-", "−")


def most_visible(scores: list[list[float]], shown: np.ndarray) -> tuple[int, int] | None:
    """Of the heads with a high measured score, the one that shows best on this prompt; both [layer head]."""
    fit = np.where(np.array(scores) >= HIGH_SCORE, shown, -1.0)
    layer, head = (int(place) for place in np.unravel_index(int(fit.argmax()), fit.shape))
    return (layer, head) if fit[layer, head] >= HIGH_SCORE else None


def write_examples(model: GPT2, measured: Mapping[str, Any], file: Path) -> None:
    rows = [asdict(example) for example in examples(model, measured)]
    file.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
