"""What the demo model can do, measured on held-out material: `python -m training.evaluate --corpus FILE`.

Writes beside the weights `measured.json`, the numbers of the model card, and `examples.json`, the app's examples.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import numpy as np
import torch
import torch.nn.functional as F

from dashapp.model.checkpoint import load_model
from dashapp.model.generation import draw_tokens
from dashapp.model.gpt2 import GPT2
from dashapp.model.sampling import SamplingSettings
from dashapp.model.tap import Tap
from dashapp.model.tokenizer import decode, encode
from dashapp.model.weights import Weights
from training.attribution import head_attribution
from training.corpus import CORPUS_SHA256, Corpus, CorpusError, held_out_books, read_corpus
from training.curriculum import KINDS, OPENED_BY_NAME, Lesson, two_names
from training.examples import write_examples
from training.many_samples import slur_check
from training.probes import head_scores

DEMO_FOLDER = Path(__file__).parents[1] / "dashapp" / "model" / "demo"
N_LESSON = 200  # of each kind; fewer where the held-out set has fewer
N_WINDOW, D_WINDOW = 8, 512  # windows a book, tokens a window, for the perplexity
SAMPLE_PROMPTS = (
    "Once upon a time",
    "One day a little girl named Alice",
    '"Where are you going?" asked',
    "The old man looked at the sea and",
    "When Mary and John went to the store, John gave a drink to",
    "In the middle of the forest there was",
)
N_NAME_SENTENCE, N_STRONGEST = 100, 4  # for the heads that write names; how many of them are listed
N_SLUR_TEXT, N_LOAD = 72, 5  # texts of each opening, seven times: 504; loadings timed
SAMPLING = SamplingSettings(max_new_tokens=60, temperature=0.7, seed=0)


@dataclass(frozen=True)
class LessonScore:
    """How often the answer beats its distractor, how often it beats every token, and by how many nats on average."""

    n: int
    accuracy: float
    top_1: float
    logit_difference: float


@torch.inference_mode()
def book_loss(model: GPT2, books: Sequence[np.ndarray], *, n_window: int, d_window: int) -> tuple[list[float], int]:
    """Mean loss of each book in nats over the full vocabulary, and the number of tokens predicted.

    Windows are spread evenly over a book; a token sees at most `d_window` - 1 tokens before it, half that on average.
    """
    means, n_token = [], 0
    for book in books:
        starts = np.linspace(0, len(book) - d_window, n_window).astype(int)
        losses = []
        for start in starts:
            ids = torch.from_numpy(book[start : start + d_window].astype(np.int64))[None]
            logits = model(ids)[0, :-1].float()
            losses.append(F.cross_entropy(logits, ids[0, 1:]).item())
            n_token += d_window - 1
        means.append(float(np.mean(losses)))
    return means, n_token


def distinct_lessons(make: Callable[[Random], Lesson], n: int, seed: int = 0) -> list[Lesson]:
    """Up to `n` lessons with different prompts; fewer when the kind has fewer."""
    rng, found = Random(seed), dict[str, Lesson]()
    for _ in range(20 * n):
        lesson = make(rng)
        found.setdefault(lesson.prompt, lesson)
        if len(found) == n:
            break
    return list(found.values())


@torch.inference_mode()
def lesson_score(model: GPT2, lessons: Sequence[Lesson]) -> LessonScore:
    """Score of held-out lessons; prompts begin with `<|endoftext|>`, as they do in the app."""
    differences, tops = [], []
    for lesson in lessons:
        logits = model.unembed(model.body(prompt_ids(lesson.prompt).to(model.device))[0, -1])
        answer, distractor = single_token(lesson.answer), single_token(lesson.distractor)
        differences.append(float(logits[answer] - logits[distractor]))
        tops.append(int(logits.argmax()) == answer)
    return LessonScore(
        n=len(lessons),
        accuracy=float(np.mean(np.array(differences) > 0)),
        top_1=float(np.mean(tops)),
        logit_difference=float(np.mean(differences)),
    )


def prompt_ids(prompt: str) -> torch.Tensor:
    """Token ids with `<|endoftext|>` first, int64 [1 pos]."""
    return torch.from_numpy(encode(prompt, bos=True).astype(np.int64))[None]


def single_token(text: str) -> int:
    """The id of a text that is one token."""
    ids = encode(text)
    assert len(ids) == 1, f"{text!r} is {len(ids)} tokens"
    return int(ids[0])


@dataclass(frozen=True)
class NameHeads:
    """How heads bring up the right name at the end of two-name sentences; means over the sentences, all [layer head].

    written: nats that a head writes towards the right name over the other. looks_right, looks_other: its attention
    from the last token to the right name, and to the other in both of its places.
    """

    written: np.ndarray
    looks_right: np.ndarray
    looks_other: np.ndarray


@torch.inference_mode()
def name_heads(model: GPT2, lessons: Sequence[Lesson]) -> NameHeads:
    """Direct logit attribution and attention of every head (Wang et al. 2022, section 3.1)."""
    written, looks_right, looks_other = [], [], []
    for lesson in lessons:
        ids, right, other = prompt_ids(lesson.prompt), single_token(lesson.answer), single_token(lesson.distractor)
        written.append(head_attribution(model, ids, right, other).by_head)
        seen = Tap.reading("pattern")
        model.body(ids, tap=seen)
        pattern = torch.stack([seen.activations["pattern", layer][0, :, -1] for layer in range(model.config.n_layer)])
        said = [name_places(ids[0], name) for name in (lesson.answer, lesson.distractor)]
        looks_right.append(pattern[:, :, said[0]].sum(-1).numpy())
        looks_other.append(pattern[:, :, said[1]].sum(-1).numpy())
    return NameHeads(*(np.mean(found, axis=0) for found in (written, looks_right, looks_other)))


def name_places(ids: torch.Tensor, name: str) -> torch.Tensor:
    """Where a name stands in [pos], with its leading space or, at the start of the prompt, without."""
    forms = [encode(form) for form in (name, name.strip())]
    alone = torch.tensor([int(form[0]) for form in forms if len(form) == 1])
    return torch.isin(ids, alone).nonzero().squeeze(1)


def strongest(heads: NameHeads, n: int) -> list[dict[str, int | float]]:
    """The `n` heads that write most towards the right name."""
    found = []
    for place in np.argsort(-heads.written, axis=None, kind="stable")[:n]:
        layer, head = (int(index) for index in np.unravel_index(int(place), heads.written.shape))
        found.append(
            {
                "layer": layer,
                "head": head,
                "written": rounded(heads.written[layer, head]),
                "looks_right": rounded(heads.looks_right[layer, head]),
                "looks_other": rounded(heads.looks_other[layer, head]),
            }
        )
    return found


def samples(model: GPT2) -> list[dict[str, str]]:
    """The first continuation of each prompt: nothing is chosen by hand."""
    texts = []
    for prompt in SAMPLE_PROMPTS:
        drawn = [step.token for step in draw_tokens(model, encode(prompt, bos=True), SAMPLING)]
        texts.append({"prompt": prompt, "continuation": decode(drawn)})
    return texts


def best_head(scores: np.ndarray) -> dict[str, int | float]:
    """The place and score of the largest entry of [layer head]."""
    layer, head = np.unravel_index(int(scores.argmax()), scores.shape)
    return {"layer": int(layer), "head": int(head), "score": rounded(scores[layer, head])}


def rounded(value: float) -> float:
    return round(float(value), 4)


def table(scores: np.ndarray) -> list[list[float]]:
    return [[rounded(score) for score in row] for row in scores]


def measure_heads(model: GPT2, lessons: Sequence[Lesson]) -> dict[str, object]:
    """Scores of every head, and the heads that the app's examples name."""
    probe = head_scores(model, block=100, n_row=4, seed=0)
    names = name_heads(model, lessons)
    kinds = {
        "previous_token": probe.previous_token,
        "duplicate_token": probe.duplicate_token,
        "induction": probe.induction,
        "name": names.written,
    }
    return {
        "best": {kind: best_head(scores) for kind, scores in kinds.items()},
        "scores": {kind: table(scores) for kind, scores in kinds.items()},
        "names": {"n": len(lessons), "strongest": strongest(names, N_STRONGEST)},
        "repeats": {
            "block": 100,
            "n_row": 4,
            "seed": 0,
            "loss_first": rounded(probe.loss_first),
            "loss_second": rounded(probe.loss_second),
        },
    }


def measure_lessons(model: GPT2, n: int) -> dict[str, LessonScore]:
    """Scores by kind, two-name sentences in each order of the names."""
    makers: dict[str, Callable[[Random], Lesson]] = {
        "two_names_giver_first": lambda rng: two_names(rng, "held_out", giver_first=True),
        "two_names_giver_second": lambda rng: two_names(rng, "held_out", giver_first=False),
        "two_names_opening": lambda rng: two_names(rng, "held_out", template=OPENED_BY_NAME),
        **{kind: _maker(kind) for kind in KINDS if kind != "two_names"},
    }
    return {kind: lesson_score(model, distinct_lessons(make, n)) for kind, make in makers.items()}


def _maker(kind: str) -> Callable[[Random], Lesson]:
    return lambda rng: KINDS[kind](rng, "held_out")


def measure(model: GPT2, corpus: Corpus, *, n_lesson: int = N_LESSON) -> dict[str, object]:
    """All that the card reports."""
    losses, n_token = book_loss(model, corpus.held_out, n_window=N_WINDOW, d_window=D_WINDOW)
    loss = float(np.mean(losses))
    names = distinct_lessons(lambda rng: two_names(rng, "held_out"), N_NAME_SENTENCE)
    return {
        "books": {
            "corpus_sha256": CORPUS_SHA256,
            "held_out": held_out_books(len(corpus.training) + len(corpus.held_out)),
            "loss_by_book": [rounded(value) for value in losses],
            "loss": rounded(loss),
            "perplexity": round(float(np.exp(loss)), 1),
            "n_token": n_token,
            "d_window": D_WINDOW,
        },
        "heads": measure_heads(model, names),
        "lessons": {
            kind: {key: rounded(value) if isinstance(value, float) else value for key, value in asdict(score).items()}
            for kind, score in measure_lessons(model, n_lesson).items()
        },
        "samples": {"settings": SAMPLING.as_dict(), "texts": samples(model)},
        "slurs": slur_check(model, ("", *SAMPLE_PROMPTS), n_each=N_SLUR_TEXT, n_token=SAMPLING.max_new_tokens),
    }


def load_time(folder: Path, n: int) -> float:
    """Shortest of `n` loadings in seconds: others at work on the machine only make it longer."""
    times = []
    for _ in range(n):
        started = time.perf_counter()
        load_model(Weights.open(folder), device="cpu")
        times.append(time.perf_counter() - started)
    return min(times)


def length_of_run(log: Path) -> dict[str, int]:
    """How long a run trained, from the last line of its log: step, elapsed_s, n_token."""
    last = json.loads(log.read_text().splitlines()[-1])
    return {key: last[key] for key in ("step", "elapsed_s", "n_token")}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("--corpus", type=Path, help="demo_corpus.txt.xz, which is not part of the project")
    parser.add_argument("--model", type=Path, default=DEMO_FOLDER, help="folder of the weights")
    parser.add_argument("--log", type=Path, nargs="*", default=[], help="log.jsonl of each run, to say how long it was")
    options = parser.parse_args(arguments)
    try:
        corpus = read_corpus(options.corpus)
    except CorpusError as error:
        print(error, file=sys.stderr)
        return 2
    model = load_model(Weights.open(options.model), device="cpu")
    weights = options.model / "model.safetensors"
    measured = {
        "weights": {
            "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
            "size_bytes": weights.stat().st_size,
            "n_params": model.config.n_params,
            "load_s": rounded(load_time(options.model, N_LOAD)),
        },
        "training": {"runs": [length_of_run(log) for log in options.log]},
        **measure(model, corpus),
    }
    (options.model / "measured.json").write_text(json.dumps(measured, indent=1) + "\n")
    write_examples(model, measured, options.model / "examples.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
