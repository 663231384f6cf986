"""The measured part of the demo model's card, from `measured.json`: `python -m training.card`.

Writes between two marks of the card and nowhere else, so that no number there is typed by hand.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from typing import Any

from training.evaluate import DEMO_FOLDER

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
LESSON_NAMES = {
    "two_names_giver_first": "two names, the giver named first",
    "two_names_giver_second": "two names, the giver named second",
    "two_names_opening": "two names, one of them the first word",
    "fact": "facts",
    "agreement": "agreement across a noun of the other number",
    "counting": "counting, alphabets, days, months",
    "closing": "closing a quote or a bracket",
}
HEAD_NAMES = {
    "previous_token": "previous-token score",
    "duplicate_token": "duplicate-token score",
    "induction": "induction score",
    "name": "writes the right name over the other (nats)",
}


def measured_section(measured: Mapping[str, Any]) -> str:
    """The tables and samples of the card, in Markdown."""
    return "\n\n".join(
        [
            _weights(measured["weights"], measured["training"]),
            _books(measured["books"]),
            _heads(measured["heads"]),
            _names(measured["heads"]["names"]),
            _lessons(measured["lessons"]),
            _samples(measured["samples"]),
            _slurs(measured["slurs"]),
        ]
    )


def with_measured_section(card: str, measured: Mapping[str, Any]) -> str:
    """The card with its measured part written anew."""
    before, rest = card.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{measured_section(measured)}\n{END}{after}"


def _weights(weights: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    size = (
        f"{weights['n_params']:,} parameters, {weights['size_bytes'] / 1e6:.1f} MB in float16, "
        f"loaded in {weights['load_s']:.2f} s."
    )
    lengths = [
        f"{run['step']:,} steps, {run['n_token'] / 1e6:.1f} M tokens, {run['elapsed_s'] / 60:.0f} minutes"
        for run in training["runs"]
    ]
    return f"{size} Trained for {'; then '.join(lengths)}." if lengths else size


def _books(books: Mapping[str, Any]) -> str:
    return (
        f"**Ten held-out books** ({books['n_token']:,} tokens in windows of {books['d_window']}, all 50,257 logits): "
        f"perplexity per token **{books['perplexity']:.1f}** (mean loss {books['loss']:.3f} nats; "
        f"easiest book {min(books['loss_by_book']):.2f}, hardest {max(books['loss_by_book']):.2f})."
    )


def _heads(heads: Mapping[str, Any]) -> str:
    repeats = heads["repeats"]
    rows = [
        f"| {HEAD_NAMES[kind]} | layer {best['layer']}, head {best['head']} | {best['score']:.3f} |"
        for kind, best in heads["best"].items()
    ]
    return "\n".join(
        [
            f"**Heads** on {repeats['block']} random tokens of the whole vocabulary, repeated once, without BOS "
            f"({repeats['n_row']} rows, seed {repeats['seed']}). Loss on the first block {repeats['loss_first']:.2f} "
            f"nats, on the second {repeats['loss_second']:.2f}.",
            "",
            "| measure | best head | value |",
            "| --- | --- | --- |",
            *rows,
        ]
    )


def _names(names: Mapping[str, Any]) -> str:
    rows = [
        f"| layer {head['layer']}, head {head['head']} | {head['written']:+.2f} | {head['looks_right']:.2f} "
        f"| {head['looks_other']:.2f} |".replace("-", "−")
        for head in names["strongest"]
    ]
    return "\n".join(
        [
            f"**Who writes the name**: the heads that write most towards the right name over the other at the end of "
            f"{names['n']} held-out two-name sentences (direct logit attribution), and where they look from there.",
            "",
            "| head | writes (nats) | attention to the right name | to the other |",
            "| --- | --- | --- | --- |",
            *rows,
        ]
    )


def _slurs(slurs: Mapping[str, Any]) -> str:
    words = ", ".join(f"{word} ({n})" for word, n in slurs["words"].items())
    found = f"{slurs['n_text_with']} held one: {words}" if words else "none held one"
    return (
        f"**Slurs**: {slurs['n_text']} texts of {slurs['n_token']} tokens at temperature {slurs['temperature']:g}, "
        f"seed {slurs['seed']}, after nothing and after the six prompts above, were searched for the words of "
        f"`training/wordcheck.py`; {found}."
    )


def _lessons(lessons: Mapping[str, Any]) -> str:
    rows = [
        f"| {LESSON_NAMES[kind]} | {score['n']} | {score['accuracy']:.1%} | {score['top_1']:.1%} "
        f"| {score['logit_difference']:.2f} |"
        for kind, score in lessons.items()
    ]
    return "\n".join(
        [
            "**Lessons**, on held-out wordings, names and pairs. The answer against one distractor (chance: 50%), "
            "and against the whole vocabulary.",
            "",
            "| lesson | items | above the distractor | above every token | mean logit difference (nats) |",
            "| --- | --- | --- | --- | --- |",
            *rows,
        ]
    )


def _samples(samples: Mapping[str, Any]) -> str:
    settings = samples["settings"]
    texts = [f"> **{text['prompt']}**{_on_one_line(text['continuation'])}" for text in samples["texts"]]
    return "\n\n".join(
        [
            f"**Samples** at temperature {settings['temperature']}, seed {settings['seed']}, "
            f"{settings['max_new_tokens']} tokens: the first of each prompt, none chosen.",
            *texts,
        ]
    )


def _on_one_line(text: str) -> str:
    """The text with line breaks shown as " / ", its first space kept."""
    return re.sub(r"\s*\n\s*", " / ", text).rstrip(" /")


def main() -> int:
    card = DEMO_FOLDER / "README.md"
    measured = json.loads((DEMO_FOLDER / "measured.json").read_text())
    card.write_text(with_measured_section(card.read_text(), measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
