"""Models by name and by fingerprint: the default one, the others when asked for, and what stands in the way."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashapp.errors import (
    DamagedFile,
    ModelNotAllowed,
    ModelNotHere,
    ModelTooLarge,
    UnknownAllowedModel,
    UnknownModel,
    UnreadableConfig,
)
from dashapp.model import opened
from dashapp.model.opened import Models
from dashapp.model.weights import FingerprintCache, Weights
from dashapp.settings import Settings
from tests.doubles import save_model_folder
from tests.hub_server import Hub, hub_server

ALLOWED = frozenset({"demo", "gpt2"})


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    save_model_folder(tmp_path / "models" / "mine", seed=1)
    return tmp_path / "models"


@pytest.fixture
def models(model_folder: Path, models_dir: Path, tmp_path: Path) -> Models:
    return make(model_folder, models_dir, tmp_path)


def make(model_folder: Path, models_dir: Path, tmp_path: Path) -> Models:
    return Models(
        Weights.open(model_folder, name="start"),
        dtype="float32",
        models_dir=models_dir,
        allowed=ALLOWED,
        fingerprints=FingerprintCache(tmp_path / "fingerprints.json"),
        hub_cache=tmp_path / "hub",
    )


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, model_folder: Path) -> Iterator[Hub]:
    """A hub whose gpt2 is the tiny model."""
    with hub_server() as hub:
        for name in ("config.json", "model.safetensors"):
            hub.files[("openai-community/gpt2", name)] = (model_folder / name).read_bytes()
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setattr(opened, "SETTLED_NS", 0)  # two seconds that only the memory of fingerprints needs
        yield hub


# By name -------------------------------------------------------------------------------------------------------------


def test_the_default_goes_by_its_name_before_all_others(models: Models, models_dir: Path) -> None:
    save_model_folder(models_dir / "start", seed=2)
    assert models.named("start") is models.default
    assert [info.name for info in models.infos()].count("start") == 1


def test_another_model_is_opened_once(models: Models) -> None:
    assert models.named("mine").name == "mine"
    assert models.named("mine") is models.named("mine")


def test_a_model_whose_files_have_changed_is_opened_again(models: Models, models_dir: Path) -> None:
    before = models.named("mine").fingerprint
    save_model_folder(models_dir / "mine", seed=3)
    assert models.named("mine").fingerprint != before


def test_a_model_whose_folder_is_gone_is_unknown(models: Models, models_dir: Path) -> None:
    models.named("mine")
    shutil.rmtree(models_dir / "mine")
    with pytest.raises(UnknownModel, match="'mine' is none of these"):
        models.named("mine")


def test_a_model_that_would_have_to_be_fetched_is_not_here_and_nothing_is_fetched(models: Models, hub: Hub) -> None:
    with pytest.raises(ModelNotHere, match="'gpt2' is not here yet"):
        models.named("gpt2")
    assert hub.requests == []


def test_only_allowed_names_and_folders_are_opened(models: Models) -> None:
    with pytest.raises(ModelNotAllowed, match="'gpt2-xl' is not among them"):
        models.named("gpt2-xl")
    for name in ("gtp2", "", "../models/mine", "models/mine"):
        with pytest.raises(UnknownModel):
            models.named(name)


def test_the_default_is_allowed_whatever_the_list_says(model_folder: Path, tmp_path: Path) -> None:
    models = Models(Weights.open(model_folder, name="start"), dtype="float32", allowed=frozenset())
    assert models.named("start") is models.default
    assert [info.name for info in models.infos()] == ["start"]


def test_to_compute_with_a_model_its_parameters_must_fit(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "available_memory", lambda: 1000)
    with pytest.raises(ModelTooLarge, match="'mine' needs"):
        models.to_compute_with("mine")
    assert models.to_compute_with("start") is models.default  # its numbers are in memory already


def test_a_file_that_cannot_be_read_is_said(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Weights:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Weights, "open", refuse)
    with pytest.raises(DamagedFile, match=r"it cannot be read \(Permission denied\)"):
        models.named("mine")


# By fingerprint ------------------------------------------------------------------------------------------------------


def test_weights_are_found_by_their_fingerprint_under_the_name_they_had(models: Models) -> None:
    mine = models.named("mine")
    assert models.of(mine.fingerprint, name="mine") is mine
    assert models.of(models.default.fingerprint, name="whatever") is models.default


def test_other_weights_of_the_same_name_are_not_taken(models: Models, models_dir: Path) -> None:
    before = models.named("mine").fingerprint
    save_model_folder(models_dir / "mine", seed=3)
    assert models.of(before, name="mine") is None


def test_weights_are_found_under_another_name(models: Models, models_dir: Path) -> None:
    fingerprint = models.named("mine").fingerprint
    (models_dir / "mine").rename(models_dir / "yours")
    models.named("yours").fingerprint  # noqa: B018  somebody has used it
    found = models.of(fingerprint, name="mine")
    assert found is not None
    assert found.name == "yours"


def test_the_fingerprint_of_what_was_never_here_finds_nothing(models: Models) -> None:
    assert models.of("0" * 64, name="mine") is None
    assert models.of("0" * 64, name="gpt2-xl") is None


# The list ------------------------------------------------------------------------------------------------------------


def test_the_list_has_the_default_what_is_allowed_and_every_folder(models: Models) -> None:
    infos = {info.name: info for info in models.infos()}
    assert list(infos) == ["start", "demo", "gpt2", "mine"]
    assert [infos[name].is_local for name in infos] == [True, True, False, True]
    assert all(info.problem is None for info in infos.values())


def test_a_folder_that_appears_is_in_the_next_list(models: Models, models_dir: Path) -> None:
    save_model_folder(models_dir / "new", seed=2)
    assert "new" in [info.name for info in models.infos()]


def test_what_cannot_be_used_says_why(models: Models, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = models_dir / "mine" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    (mine,) = [info for info in models.infos() if info.name == "mine"]
    assert "It was probably cut short" in str(mine.problem)
    monkeypatch.setattr(opened, "available_memory", lambda: 300_000_000)
    (gpt2,) = [info for info in models.infos() if info.name == "gpt2"]
    assert gpt2.problem == "'gpt2' needs about 698 MB and 300 MB are free."  # 4 · 124,439,808 bytes, and 200 MB


# Fetching ------------------------------------------------------------------------------------------------------------


def test_a_fetched_model_is_here_and_has_the_weights_of_the_hub(models: Models, hub: Hub) -> None:
    seen: list[tuple[int, int]] = []
    models.fetch("gpt2", lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] > 0
    assert models.named("gpt2").fingerprint == models.default.fingerprint


def test_a_fetched_fingerprint_is_remembered(hub: Hub, models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the two seconds that a file must be old
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    models.fetch("gpt2", lambda done, total: None)
    assert models.named("gpt2").known_fingerprint is not None


def test_a_fetched_model_that_is_none_is_refused(models: Models, hub: Hub) -> None:
    hub.files[("openai-community/gpt2", "config.json")] = b"{"
    with pytest.raises(UnreadableConfig, match="it is not JSON"):
        models.fetch("gpt2", lambda done, total: None)
    (gpt2,) = [info for info in models.infos() if info.name == "gpt2"]
    assert "it is not JSON" in str(gpt2.problem)


def test_what_is_not_allowed_is_not_fetched(models: Models, hub: Hub) -> None:
    with pytest.raises(ModelNotAllowed):
        models.fetch("gpt2-xl", lambda done, total: None)
    assert hub.requests == []


# The settings --------------------------------------------------------------------------------------------------------


def test_the_settings_name_the_models(models_dir: Path, tmp_path: Path) -> None:
    settings = Settings(model="mine", models=("demo", "mine"), models_dir=models_dir, cache_dir=tmp_path)
    models = Models.read(settings)
    assert models.default.name == "mine"
    assert [info.name for info in models.infos()] == ["mine", "demo"]


def test_a_misspelt_name_among_the_allowed_ones_is_refused_at_the_start(tmp_path: Path) -> None:
    settings = Settings(models=("demo", "gtp2"), models_dir=tmp_path, cache_dir=tmp_path)
    with pytest.raises(UnknownAllowedModel, match=r"'gtp2' is none of these\..*nearest first: 'gpt2'"):
        Models.read(settings)
