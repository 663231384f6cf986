"""The mean of several runs' weights: `python -m training.mean FOLDER FOLDER --out FOLDER`.

Runs that went on from the same weights lie close enough together for their mean to be a model, often a better one than
each of them (Wortsman et al. 2022, Model soups).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from dashapp.errors import ModelError
from dashapp.model.checkpoint import load_model
from dashapp.model.gpt2 import GPT2
from dashapp.model.weights import Weights
from training.export import save_model


def mean_model(folders: Sequence[Path]) -> GPT2:
    """A model of which each number is the mean of those in the folders, float32.

    Raises: ValueError for fewer than two folders, and where they differ in shape; ModelError for one that is no model.
    """
    if len(folders) < 2:
        raise ValueError("a mean is of two folders or more")
    models = [load_model(Weights.open(folder), device="cpu") for folder in folders]
    mean = GPT2(models[0].config)
    for folder, model in zip(folders, models, strict=True):
        if model.config != mean.config:
            raise ValueError(f"{folder} has another configuration than {folders[0]}")
    parts = [model.state_dict() for model in models]
    mean.load_state_dict({name: torch.stack([each[name] for each in parts]).mean(0) for name in parts[0]})
    return mean


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.mean", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="weights of runs that began alike")
    parser.add_argument("--out", type=Path, required=True, help="folder of the mean")
    options = parser.parse_args(arguments)
    try:
        save_model(mean_model(options.folders), options.out)
    except (ModelError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
