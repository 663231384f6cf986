from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashapp.errors import (
    ModelNotAllowed,
    ModelNotHere,
    ModelTooLarge,
    ModelUnreachable,
    UnknownAllowedModel,
    UnknownModel,
)
from dashapp.model.registry import (
    DEMO_FOLDER,
    HUB_MODELS,
    available,
    find,
    info_of,
    is_here,
    locate,
    refuse_unknown_names,
)
from dashapp.model.weights import Weights
from tests.doubles import TINY_TEXT
from tests.hub_server import Hub, hub_server

ALLOWED = frozenset({"demo", "distilgpt2", "gpt2"})


@pytest.fixture
def models_dir(tmp_path: Path, model_folder: Path) -> Path:
    shutil.copytree(model_folder, tmp_path / "models" / "mine")
    return tmp_path / "models"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, model_folder: Path) -> Iterator[Hub]:
    """A hub whose gpt2 is the tiny model."""
    with hub_server() as hub:
        for name in ("config.json", "model.safetensors"):
            hub.files[("openai-community/gpt2", name)] = (model_folder / name).read_bytes()
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


# The table -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "n_params"),  # as published, in millions: 82, 124, 355, 774, 1558
    [
        ("distilgpt2", 81_912_576),
        ("gpt2", 124_439_808),
        ("gpt2-medium", 354_823_168),
        ("gpt2-large", 774_030_080),
        ("gpt2-xl", 1_557_611_200),
    ],
)
def test_hub_models_have_the_published_numbers_of_parameters(name: str, n_params: int) -> None:
    assert HUB_MODELS[name].config.n_params == n_params


def test_every_size_of_head_is_64() -> None:
    assert {model.config.d_head for model in HUB_MODELS.values()} == {64}


# The list ------------------------------------------------------------------------------------------------------------


def test_the_list_has_demo_the_hub_models_and_the_folders(models_dir: Path, tmp_path: Path) -> None:
    infos = available(models_dir=models_dir, hub_cache=tmp_path / "hub")
    assert [info.name for info in infos] == ["demo", *HUB_MODELS, "mine"]
    assert [info.kind for info in infos] == ["demo", *["hub"] * 5, "folder"]
    mine = infos[-1]
    assert (mine.is_local, mine.n_params, mine.folder) == (True, TINY_TEXT.n_params, models_dir / "mine")
    assert mine.size_bytes == (models_dir / "mine" / "model.safetensors").stat().st_size
    assert not infos[1].is_local


def test_visitors_see_what_is_allowed_and_every_folder(models_dir: Path, tmp_path: Path) -> None:
    infos = available(models_dir=models_dir, allowed=frozenset({"gpt2"}), hub_cache=tmp_path)
    assert [info.name for info in infos] == ["gpt2", "mine"]


def test_a_fetched_model_is_listed_as_local_with_its_true_size(hub: Hub, tmp_path: Path) -> None:
    folder = locate("gpt2", hub_cache=tmp_path)
    info = next(info for info in available(models_dir=None, hub_cache=tmp_path) if info.name == "gpt2")
    assert (info.is_local, info.folder) == (True, folder)
    assert info.size_bytes == (folder / "model.safetensors").stat().st_size
    assert is_here("gpt2", hub_cache=tmp_path)
    assert not is_here("distilgpt2", hub_cache=tmp_path)


def test_a_folder_that_cannot_be_loaded_is_listed_with_its_problem(models_dir: Path, tmp_path: Path) -> None:
    (models_dir / "mine" / "config.json").write_text("{")
    mine = available(models_dir=models_dir, hub_cache=tmp_path)[-1]
    assert mine.n_params is None
    assert mine.problem is not None
    assert "it is not JSON" in mine.problem


def test_what_holds_no_config_is_not_a_model(models_dir: Path, tmp_path: Path) -> None:
    (models_dir / "empty").mkdir()
    (models_dir / "file").write_text("")
    assert [info.name for info in available(models_dir=models_dir, allowed=frozenset())] == ["mine"]


def test_a_models_directory_that_is_not_there_holds_no_models(tmp_path: Path) -> None:
    assert available(models_dir=tmp_path / "nowhere", allowed=frozenset()) == []


# Finding -------------------------------------------------------------------------------------------------------------


def test_a_folder_in_the_models_directory_is_found_by_name(models_dir: Path) -> None:
    assert locate("mine", models_dir=models_dir, allowed=ALLOWED) == models_dir / "mine"


def test_a_folder_stands_for_the_hub_model_of_its_name(models_dir: Path, tmp_path: Path) -> None:
    """What the error without a network proposes: copy a folder named gpt2 into the models directory."""
    (models_dir / "mine").rename(models_dir / "gpt2")
    assert locate("gpt2", models_dir=models_dir) == models_dir / "gpt2"
    assert is_here("gpt2", models_dir=models_dir, hub_cache=tmp_path)
    names = [info.name for info in available(models_dir=models_dir, hub_cache=tmp_path)]
    assert sorted(names) == sorted(["demo", *HUB_MODELS])


def test_demo_is_always_the_bundled_one(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashapp.model.registry.DEMO_FOLDER", models_dir / "mine")
    shutil.copytree(models_dir / "mine", models_dir / "demo")
    assert locate("demo", models_dir=models_dir) == models_dir / "mine"
    assert DEMO_FOLDER.parent.name == "model"


def test_python_takes_any_folder(model_folder: Path) -> None:
    assert locate(model_folder) == model_folder
    assert locate(str(model_folder)) == model_folder


@pytest.mark.parametrize(
    "name", ["../models/mine", "./mine", "mine/", "mine/../mine", "/", "..", ".", "", "~", "mine\0", "models/mine"]
)
def test_a_visitors_name_is_never_a_path(models_dir: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(models_dir)
    with pytest.raises(UnknownModel):
        locate(name, models_dir=models_dir, allowed=ALLOWED)


def test_a_visitor_cannot_name_a_folder_elsewhere(model_folder: Path, models_dir: Path) -> None:
    for name in (str(model_folder), model_folder):
        with pytest.raises(UnknownModel, match="nearest first"):
            locate(name, models_dir=models_dir, allowed=ALLOWED)


def test_a_visitor_gets_only_allowed_models(hub: Hub, models_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotAllowed, match=r"'gpt2-xl' is not among them.*'gpt2'.*'mine'.*DASHAPP_MODELS"):
        locate("gpt2-xl", models_dir=models_dir, allowed=ALLOWED, hub_cache=tmp_path)
    with pytest.raises(ModelNotAllowed):
        locate("demo", allowed=frozenset({"gpt2"}), hub_cache=tmp_path)
    assert hub.requests == []


@pytest.mark.parametrize("name", ["gpt3", "nowhere/at/all", "", "x" * 10_000])
def test_an_unknown_name_lists_the_known_ones(name: str) -> None:
    with pytest.raises(UnknownModel, match=f"'{name}' is none of these.*'gpt2'"):
        locate(name)


def test_the_nearest_known_name_comes_first() -> None:
    with pytest.raises(UnknownModel, match="nearest first: 'gpt2-medium'"):
        locate("gpt2-meduim")


def test_what_is_only_looked_for_is_never_fetched(hub: Hub, models_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotHere):
        find("gpt2", models_dir=models_dir, hub_cache=tmp_path)
    assert hub.requests == []
    fetched = locate("gpt2", hub_cache=tmp_path)
    assert find("gpt2", models_dir=models_dir, hub_cache=tmp_path) == fetched
    assert find("mine", models_dir=models_dir, allowed=ALLOWED) == models_dir / "mine"


def test_names_of_the_setting_are_checked(models_dir: Path) -> None:
    refuse_unknown_names(["demo", *HUB_MODELS, "mine"], models_dir=models_dir)
    with pytest.raises(UnknownAllowedModel, match="'mine' is none of these"):
        refuse_unknown_names(["demo", "mine"])


def test_an_open_model_has_a_row_wherever_its_folder_is(model_folder: Path) -> None:
    info = info_of(Weights.open(model_folder, name="start"))
    assert (info.name, info.kind, info.n_params) == ("start", "folder", TINY_TEXT.n_params)
    assert info_of(Weights.open(DEMO_FOLDER, name="demo")).kind == "demo"


def test_a_link_into_nowhere_does_not_hide_the_other_models(models_dir: Path) -> None:
    (models_dir / "mine" / "other.safetensors").symlink_to("nowhere")
    (mine,) = available(models_dir=models_dir, allowed=frozenset())
    assert mine.problem is None


# Memory --------------------------------------------------------------------------------------------------------------


def test_a_model_that_would_not_fit_is_refused_before_anything_is_fetched(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ModelTooLarge, match="698 MB and 600 MB are free"):
        locate("gpt2", hub_cache=tmp_path, available_bytes=600_000_000)
    assert hub.requests == []


def test_bfloat16_may_fit_where_float32_does_not(hub: Hub, tmp_path: Path) -> None:
    assert locate("gpt2", dtype="bfloat16", hub_cache=tmp_path, available_bytes=600_000_000).is_dir()


def test_a_folder_that_would_not_fit_is_refused(models_dir: Path) -> None:
    with pytest.raises(ModelTooLarge, match="'mine' needs"):
        locate("mine", models_dir=models_dir, available_bytes=1000)


def test_the_memory_that_is_free_now_counts_by_default(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashapp.model.registry.available_memory", lambda: 1000)
    with pytest.raises(ModelTooLarge):
        locate("mine", models_dir=models_dir)


# The hub -------------------------------------------------------------------------------------------------------------


def test_a_hub_model_is_fetched_once_and_loads(hub: Hub, tmp_path: Path, model_folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    folder = locate("gpt2", allowed=ALLOWED, hub_cache=tmp_path, progress=lambda *counts: seen.append(counts))
    assert seen[-1][0] == seen[-1][1]
    assert Weights.open(folder, name="gpt2").fingerprint == Weights.open(model_folder).fingerprint
    hub.requests.clear()
    assert locate("gpt2", hub_cache=tmp_path) == folder
    assert hub.requests == []


def test_an_unreachable_hub_names_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub_server() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
    with pytest.raises(ModelUnreachable, match="The weights of 'gpt2' are not on this machine"):
        locate("gpt2", hub_cache=tmp_path)
