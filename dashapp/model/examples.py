"""The prompts that a person can begin with, each with what to look at.

`training.evaluate` measures the bundled model's heads and writes `examples.json` beside its weights. What the file
names holds for those weights alone; any other model gets the prompts, without parts of the model and without sentences.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from dashapp.model.registry import DEMO_FOLDER
from dashapp.model.tokenizer import encode

FILE: Final = "examples.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """label: on the page. page: its path. pos, layer, head: what is selected, None for nothing. says: what to see."""

    label: str
    prompt: str
    page: str
    pos: int | None = None
    layer: int | None = None
    head: int | None = None
    says: str = ""


def reference_prompts(n_ctx: int) -> list[np.ndarray]:
    """The app's example prompts, over whose tokens means of reference are taken: token ids [pos] each."""
    return [encode(example.prompt, bos=True)[:n_ctx] for example in examples_of(DEMO_FOLDER)]


def examples_of(folder: Path) -> tuple[Example, ...]:
    """The examples for the model in a folder."""
    rows = json.loads((DEMO_FOLDER / FILE).read_text(encoding="utf-8"))
    if folder != DEMO_FOLDER:
        return tuple(Example(label=row["label"], prompt=row["prompt"], page=row["page"]) for row in rows)
    return tuple(
        Example(label=row["label"], prompt=row["prompt"], page=row["page"], says=row["says"], **row["selection"])
        for row in rows
    )
