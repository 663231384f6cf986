"""Which models there are, who may load them, and where their files lie: demo | hub names | local folders. Torch-free.

A visitor's name is looked up, never made into a path. Knows names and folders; opens no weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dashapp.errors import (
    CheckpointError,
    ModelNotAllowed,
    ModelNotHere,
    NotAModelFolder,
    UnknownAllowedModel,
    UnknownModel,
)
from dashapp.model.config import GPT2Config
from dashapp.model.download import Progress, cached_folder, fetch_folder
from dashapp.model.memory import available_memory, refuse_too_large
from dashapp.model.weights import CONFIG_FILE, WEIGHTS_FILE, Weights, read_config

DEMO = "demo"
DEMO_FOLDER = Path(__file__).with_name("demo")
HUB_FILES = (CONFIG_FILE, WEIGHTS_FILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubModel:
    """A published GPT-2: its repository on the hub and its sizes, known before anything is fetched."""

    repo: str
    config: GPT2Config

    @property
    def size_bytes(self) -> int:
        """About what is fetched: float32 weights, and a mask of n_ctx × n_ctx in each layer that is not used."""
        return 4 * (self.config.n_params + self.config.n_layer * self.config.n_ctx**2)


# Radford et al. 2019, table 2; distilgpt2 is Sanh et al. 2019's student of the smallest.
HUB_MODELS = {
    "distilgpt2": HubModel(repo="distilbert/distilgpt2", config=GPT2Config(n_layer=6)),
    "gpt2": HubModel(repo="openai-community/gpt2", config=GPT2Config()),
    "gpt2-medium": HubModel(
        repo="openai-community/gpt2-medium", config=GPT2Config(n_layer=24, n_head=16, d_model=1024, d_mlp=4096)
    ),
    "gpt2-large": HubModel(
        repo="openai-community/gpt2-large", config=GPT2Config(n_layer=36, n_head=20, d_model=1280, d_mlp=5120)
    ),
    "gpt2-xl": HubModel(
        repo="openai-community/gpt2-xl", config=GPT2Config(n_layer=48, n_head=25, d_model=1600, d_mlp=6400)
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """One model of a list. size_bytes: of its weights on disk, or about what would be fetched.

    problem: why it cannot be loaded. Of a folder only what its config.json tells, n_params is None then; who opens
    models adds the rest.
    """

    name: str
    kind: Literal["demo", "hub", "folder"]
    is_local: bool
    size_bytes: int
    n_params: int | None
    folder: Path | None = None
    problem: str | None = None


def info_of(weights: Weights) -> ModelInfo:
    """The row of a model that is open, wherever its folder is."""
    kind: Literal["demo", "folder"] = "demo" if weights.folder == DEMO_FOLDER else "folder"
    return _folder_info(weights.name, weights.folder, kind)


def available(
    *, models_dir: Path | None, allowed: AbstractSet[str] | None = None, hub_cache: Path | None = None
) -> list[ModelInfo]:
    """The models that can be asked for: demo, those of the hub, then the folders under the models directory.

    allowed: names that visitors may ask for; None is no limit. Folders are always allowed. A folder with the name of a
    hub model stands for it.
    """
    folders = _folders(models_dir)
    infos = [_folder_info(DEMO, DEMO_FOLDER, "demo")] if _is_allowed(DEMO, allowed) else []
    for name, model in HUB_MODELS.items():
        if _is_allowed(name, allowed) and name not in folders:
            infos.append(_hub_info(name, model, hub_cache))
    return infos + [_folder_info(name, folder, "folder") for name, folder in folders.items()]


def locate(
    name: str | Path,
    *,
    models_dir: Path | None = None,
    allowed: AbstractSet[str] | None = None,
    dtype: str = "float32",
    progress: Progress | None = None,
    hub_cache: Path | None = None,
    available_bytes: int | None = None,
) -> Path:
    """The folder of a model, fetched from the hub when it is a published one that is not here.

    name: 'demo', a folder under `models_dir`, a hub name; and, where nothing is limited (`allowed` is None: Python and
    the command line), the path of any folder. In that order, so that a folder in the models directory stands for the
    hub model of its name. Refused before anything is fetched when it would not fit in `available_bytes` of memory
    (measured now unless given) in `dtype`.
    Raises: UnknownModel, ModelNotAllowed, ModelTooLarge, ModelUnreachable, DiskTooSmall, WrongDownload,
    CheckpointError when config.json cannot be used.
    """
    free = available_memory() if available_bytes is None else available_bytes
    folder = _local_folder(name, models_dir, allowed)
    if folder is not None:
        refuse_too_large(str(name), read_config(folder).n_params, dtype, available_bytes=free)
        return folder
    model = HUB_MODELS[str(name)]
    refuse_too_large(str(name), model.config.n_params, dtype, available_bytes=free)
    found = cached_folder(model.repo, HUB_FILES, hub_cache)
    return found or fetch_folder(str(name), model.repo, HUB_FILES, cache_dir=hub_cache, progress=progress)


def find(
    name: str,
    *,
    models_dir: Path | None = None,
    allowed: AbstractSet[str] | None = None,
    hub_cache: Path | None = None,
) -> Path:
    """The folder of a model that is on this machine; `name` and `allowed` as for `locate`, which would fetch it.

    Raises: UnknownModel, ModelNotAllowed, ModelNotHere.
    """
    folder = _local_folder(name, models_dir, allowed) or cached_folder(HUB_MODELS[name].repo, HUB_FILES, hub_cache)
    if folder is None:
        raise ModelNotHere(name)
    return folder


def refuse_unknown_names(names: Iterable[str], *, models_dir: Path | None = None) -> None:
    """Raise UnknownAllowedModel for a name in the list of allowed models that no model bears: a misspelt one."""
    known = [DEMO, *HUB_MODELS, *_folders(models_dir)]
    for name in names:
        if name not in known:
            raise UnknownAllowedModel(name, known)


def name_of(model: str | Path, *, models_dir: Path | None = None) -> str:
    """What a model is called: its name, or the last part of the path of its folder."""
    if isinstance(model, str) and (model == DEMO or model in HUB_MODELS or model in _folders(models_dir)):
        return model
    return Path(model).expanduser().resolve().name


def is_here(name: str, *, models_dir: Path | None = None, hub_cache: Path | None = None) -> bool:
    """Whether a known model can be loaded without the network."""
    if name == DEMO or name in _folders(models_dir):
        return True
    return name in HUB_MODELS and cached_folder(HUB_MODELS[name].repo, HUB_FILES, hub_cache) is not None


def _local_folder(name: str | Path, models_dir: Path | None, allowed: AbstractSet[str] | None) -> Path | None:
    """The folder that a name or path stands for, None for a hub model. Raises: UnknownModel, ModelNotAllowed."""
    folders = _folders(models_dir)
    if isinstance(name, str):
        if name in folders:
            return folders[name]
        if name == DEMO or name in HUB_MODELS:
            if not _is_allowed(name, allowed):
                raise ModelNotAllowed(name, [*sorted(allowed or ()), *folders])
            return DEMO_FOLDER if name == DEMO else None
    if allowed is not None:
        raise UnknownModel(str(name), [*sorted(allowed), *folders])
    if not name or not _is_folder(Path(name).expanduser()):
        raise UnknownModel(str(name), [DEMO, *HUB_MODELS, *folders])
    return Path(name).expanduser()


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that no file system could hold
        return False


def _is_allowed(name: str, allowed: AbstractSet[str] | None) -> bool:
    return allowed is None or name in allowed


def _folders(models_dir: Path | None) -> dict[str, Path]:
    """The folders under the models directory that hold a config.json, by name; 'demo' is always the bundled one."""
    return dict(sorted(_named_folders(models_dir))) if models_dir is not None else {}


def _named_folders(models_dir: Path) -> Iterator[tuple[str, Path]]:
    try:
        children = list(models_dir.iterdir())
    except OSError:  # not made yet, or not ours to read: then it holds nothing for us
        return
    for folder in children:
        if folder.name != DEMO and (folder / CONFIG_FILE).is_file():
            yield folder.name, folder


def _folder_info(name: str, folder: Path, kind: Literal["demo", "folder"]) -> ModelInfo:
    size_bytes = sum(path.stat().st_size for path in folder.glob("*.safetensors") if path.is_file())
    try:
        n_params = read_config(folder).n_params
        if not size_bytes:
            raise NotAModelFolder(folder, WEIGHTS_FILE)
    except CheckpointError as error:
        return ModelInfo(
            name=name,
            kind=kind,
            is_local=True,
            size_bytes=size_bytes,
            n_params=None,
            folder=folder,
            problem=str(error),
        )
    return ModelInfo(name=name, kind=kind, is_local=True, size_bytes=size_bytes, n_params=n_params, folder=folder)


def _hub_info(name: str, model: HubModel, hub_cache: Path | None) -> ModelInfo:
    folder = cached_folder(model.repo, HUB_FILES, hub_cache)
    return ModelInfo(
        name=name,
        kind="hub",
        is_local=folder is not None,
        size_bytes=(folder / WEIGHTS_FILE).stat().st_size if folder else model.size_bytes,
        n_params=model.config.n_params,
        folder=folder,
    )
