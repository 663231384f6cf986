"""What the Model page says of the loaded model and of the cache."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

import pytest

from dashapp.cli import main
from dashapp.model.opened import Models
from dashapp.model.registry import DEMO_FOLDER
from dashapp.model.weights import Weights
from dashapp.panels.cache_facts import cleared, held, not_cleared, question, said_folder
from dashapp.panels.model_facts import identity_rows, option_rows, parameter_rows, size_rows, where_from
from dashapp.panels.source import Source
from dashapp.store.contract import StoreAddress, StoreStats
from dashapp.store.disk import TraceStore
from dashapp.store.recipes import RecipeStore
from tests.doubles import TINY_TEXT, weight_shapes


@pytest.fixture
def weights(model_folder: Path) -> Weights:
    return Weights.open(model_folder)


@pytest.fixture
def source(weights: Weights, tmp_path: Path) -> Source:
    store = TraceStore(tmp_path / "cache", size_limit_bytes=10**9)
    return Source(models=Models(weights, dtype="float32"), store=store, dtype="float32", device="auto")


def test_it_says_who_the_model_is(source: Source, weights: Weights) -> None:
    said = {name: value for name, value, _ in identity_rows(source, weights)}
    n_bytes = (weights.folder / "model.safetensors").stat().st_size
    assert said["Name"] == "tiny"
    assert weights.fingerprint.startswith(said["Fingerprint"])
    assert said["Parameters"] == f"{sum(weights[name].size for name in weights):,}"
    assert said["Files"] == f"{n_bytes / 1e6:.1f} MB"
    assert (said["Computes in"], said["Computes on"]) == ("float32", "auto")


def test_it_says_where_a_model_comes_from(weights: Weights) -> None:
    assert where_from(weights) == "from the folder tiny"
    assert where_from(Weights.open(DEMO_FOLDER, name="demo")) == "comes with the app"
    assert (
        where_from(Weights.open(weights.folder, name="gpt2"))
        == "fetched from the Hugging Face hub, openai-community/gpt2"
    )


def test_it_says_every_size_and_option_of_the_configuration() -> None:
    sizes = {name: value for name, value, _ in size_rows(TINY_TEXT)}
    names = ("n_layer", "n_head", "d_model", "d_head", "d_mlp", "n_ctx", "d_vocab")
    assert sizes == {name: f"{getattr(TINY_TEXT, name):,}" for name in names}
    options = " ".join(" ".join(row) for row in option_rows(TINY_TEXT))
    of_config = {field.name for field in dataclasses.fields(TINY_TEXT)} - sizes.keys()
    assert [name for name in of_config if name not in options and not name.endswith("_pdrop")] == []


def test_options_say_what_an_odd_model_computes() -> None:
    odd = dataclasses.replace(TINY_TEXT, scale_attn_by_inverse_layer_idx=True, reorder_and_upcast_attn=True)
    said = {name: value for name, value, _ in option_rows(odd)}
    assert (said["Factor on q·k"], said["Attention in"]) == ("1/√d_head/(layer + 1)", "float32")
    odd = dataclasses.replace(TINY_TEXT, scale_attn_weights=False)
    assert option_rows(odd)[0][1] == "1"


def test_parameters_by_kind_add_up(weights: Weights) -> None:
    rows = {kind: int(value.replace(",", "")) for kind, value, _ in parameter_rows(weights)}
    shapes = weight_shapes(TINY_TEXT)
    assert sum(rows.values()) == TINY_TEXT.n_params
    assert rows["Token embedding"] == 50_257 * 10
    assert rows["LayerNorm"] == sum(shape[0] for name, shape in shapes.items() if ".ln_" in f".{name}")


STATS = StoreStats(n_traces=1, n_runs=2, n_results=1_000, n_files=3, size_bytes=123_400_000, limit_bytes=8 * 10**9)


def test_the_cache_says_what_it_holds_and_what_would_go() -> None:
    assert held(STATS) == "1 trace, 2 runs, 1,000 results and 3 files: 123 MB of at most 8,000 MB."
    assert question(STATS).startswith("Clear 1 trace, 2 runs, 1,000 results and 3 files (123 MB)? ")
    assert cleared(STATS).startswith("Cleared 1 trace, 2 runs, 1,000 results and 3 files, 123 MB.")


def test_the_command_said_clears_the_cache_that_the_app_uses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a cache"
    RecipeStore(folder / "recipes").put("prompt=my+dear+secret", secret="a secret of a server")
    _, command, after = not_cleared(StoreAddress(folder=folder))
    assert not isinstance(command, str)
    program, *arguments = shlex.split(command.children)
    assert program == "dashapp"
    assert main(arguments) == 0
    assert str(folder) in capsys.readouterr().out
    assert not any((folder / "recipes").iterdir())
    assert after == " removes those too."


def test_a_folder_at_home_is_said_without_the_name_of_its_owner(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert said_folder(tmp_path / ".cache" / "dashapp") == "~/.cache/dashapp"
    assert said_folder(tmp_path) == str(tmp_path)
    assert said_folder(Path("/data")) == "/data"
