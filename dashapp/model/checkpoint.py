"""From weights on disk to a model that runs. The only place where checkpoints meet torch.

float32 weights are not copied: the parameters are the memory-mapped file. Other dtypes are converted by NumPy. On the
CPU no torch kernel runs, so a fork server may load a model and fork after it (threads that torch starts do not survive
a fork).
"""

from __future__ import annotations

import hashlib
import json
from typing import Literal, get_args
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from dashapp.errors import NoSuchDevice, UnsupportedDtype
from dashapp.model.gpt2 import GPT2
from dashapp.model.weights import Weights

DtypeName = Literal["float32", "bfloat16", "float64"]
DeviceName = Literal["auto", "cpu", "cuda", "mps"]

# What each parameter was when it was loaded: itself, where its numbers are, how often it had been written to.
_AsLoaded = dict[str, tuple[Tensor, int, int]]
_as_loaded: WeakKeyDictionary[GPT2, _AsLoaded] = WeakKeyDictionary()


def load_model(weights: Weights, *, dtype: DtypeName = "float32", device: DeviceName = "auto") -> GPT2:
    """The model with these weights, in evaluation mode, without gradients, on `device`; `model.weights` are `weights`.

    device: 'auto' is the first of cuda, mps, cpu that this machine has (and that computes in `dtype`).
    Raises: UnsupportedDtype, NoSuchDevice.
    """
    if dtype not in get_args(DtypeName):
        raise UnsupportedDtype(dtype, "it is none of these")
    chosen = choose_device(device, dtype)
    with torch.inference_mode(False):  # a caller's inference mode would give parameters that nothing may be asked of
        with torch.device("meta"):  # shapes without numbers: the real ones are assigned next
            model = GPT2(weights.config)
        model.load_state_dict(_tensors(weights, dtype), assign=True)
        model.requires_grad_(False).eval()
        if chosen != "cpu":
            model.to(chosen)
    model.weights = weights
    _as_loaded[model] = _state_of(model)
    return model


def dtype_name(model: GPT2) -> DtypeName:
    """The dtype that a model computes in."""
    name = str(model.wte.weight.dtype).removeprefix("torch.")
    return next(known for known in get_args(DtypeName) if known == name)


def weights_unchanged(model: GPT2) -> bool:
    """Whether the parameters are those that `load_model` put there: then `model.weights.fingerprint` names them.

    Sees a parameter replaced, moved, cast, or written to by torch. Does not see numbers written through `.data` or
    through NumPy, for which torch keeps no count: an experiment that does so must not rely on it.
    """
    known, now = _as_loaded.get(model, {}), _state_of(model)
    return known.keys() == now.keys() and all(
        known[name][0] is now[name][0] and known[name][1:] == now[name][1:] for name in now
    )


def weights_of(model: GPT2) -> Weights | LiveWeights:
    """Who the model's weights are at this moment: the files they came from, or, once edited, themselves."""
    if model.weights is not None and weights_unchanged(model):
        return model.weights
    return LiveWeights(model)


class LiveWeights:
    """The present parameters of a model that was made or edited in memory, under a fingerprint of their own.

    `fingerprint` hashes all of them when asked: a later edit gives another.
    """

    def __init__(self, model: GPT2) -> None:
        self._model = model
        self.name = f"{model.weights.name} (edited)" if model.weights else "(in memory)"

    @property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(json.dumps(self._model.config.computation, sort_keys=True).encode())
        for name, parameter in sorted(self._model.named_parameters()):
            digest.update(json.dumps([name, str(parameter.dtype), list(parameter.shape)]).encode())
            digest.update(parameter.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def float32(self, name: str, *, dtype: str = "float32") -> np.ndarray:  # noqa: ARG002  what `Weights` takes
        """One parameter as float32 values; the model already holds them in the dtype it computes with."""
        values: np.ndarray = self._model.get_parameter(name).detach().float().cpu().numpy()
        return values


def choose_device(device: DeviceName, dtype: DtypeName = "float32") -> str:
    """'cuda', 'mps' or 'cpu'. Raises: NoSuchDevice."""
    present = [name for name in ("cuda", "mps", "cpu") if name != "mps" or dtype != "float64"]  # mps has no float64
    present = [name for name in present if name == "cpu" or getattr(torch, name).is_available()]
    if device == "auto":
        return present[0]
    if device not in present:
        raise NoSuchDevice(device, present)
    return device


def _state_of(model: GPT2) -> _AsLoaded:
    return {name: (parameter, parameter.data_ptr(), parameter._version) for name, parameter in model.named_parameters()}


def _tensors(weights: Weights, dtype: DtypeName) -> dict[str, Tensor]:
    """The parameters by name, on the CPU; those stored in `dtype` are the memory-mapped file."""
    mapped = weights.private_arrays()
    return {
        name: _tensor(mapped[name] if weights.dtype_of(name) == dtype else _converted(weights, name, dtype), dtype)
        for name in weights
    }


def _converted(weights: Weights, name: str, dtype: DtypeName) -> np.ndarray:
    match dtype:
        case "float32":
            return weights.float32(name)
        case "bfloat16":
            return weights.bfloat16_bits(name)
        case "float64":
            return weights.float64(name)


def _tensor(array: np.ndarray, dtype: DtypeName) -> Tensor:
    """`array` wrapped without a copy; NumPy has no bfloat16, so its 16 bits are wrapped and renamed."""
    tensor = torch.from_numpy(array)
    return tensor.view(torch.bfloat16) if dtype == "bfloat16" else tensor
