"""The mean of several runs' weights, number by number, and what has none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.training.test_train import SMALL
from training.export import save_model
from training.initial import initial_model
from training.mean import main

if TYPE_CHECKING:
    from pathlib import Path


def test_each_number_is_the_mean_of_those_in_the_folders(tmp_path: Path) -> None:
    folders = [tmp_path / str(seed) for seed in range(3)]
    for seed, folder in enumerate(folders):
        save_model(initial_model(SMALL, seed=seed), folder)
    assert main([*map(str, folders), "--out", str(tmp_path / "mean")]) == 0
    runs = [load_file(folder / "model.safetensors") for folder in folders]
    found = load_file(tmp_path / "mean" / "model.safetensors")
    assert set(found) == set(runs[0])
    for name, values in found.items():
        expected = np.mean([run[name].astype(np.float64) for run in runs], axis=0)
        # Rounded to float32 on the way, then to float16 as all weights are: half a step of 2⁻¹⁰, or of the smallest.
        np.testing.assert_allclose(values, expected, rtol=2**-10.9, atol=2**-24.9, err_msg=name)


def test_what_has_no_mean_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_model(initial_model(SMALL, seed=0), tmp_path / "a")
    save_model(initial_model(replace(SMALL, n_ctx=2 * SMALL.n_ctx), seed=0), tmp_path / "longer")
    for folders, says in (
        (["a"], "a mean is of two folders or more"),
        (["a", "longer"], "has another configuration than"),
        (["a", "nothing"], "nothing"),
    ):
        assert main([*(str(tmp_path / name) for name in folders), "--out", str(tmp_path / "out")]) == 2
        assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
