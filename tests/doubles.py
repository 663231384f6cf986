"""Small honest models for tests: real GPT-2s with odd sizes and random weights.

All sizes differ, so that a transposed axis cannot pass. Every parameter is random, biases and norms included, so that
one left out cannot pass either. Torch is imported inside the functions that need it: tests of torch-free rooms import
this module too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dashapp.model.config import GPT2Config
from dashapp.model.tensorfile import save_tensors

if TYPE_CHECKING:
    import torch

    from dashapp.model.gpt2 import GPT2
    from dashapp.traces.record import Trace

TINY = GPT2Config(n_layer=3, n_head=2, d_model=10, d_mlp=11, n_ctx=13, d_vocab=17)  # d_head = 5
TINY_TEXT = GPT2Config(n_layer=3, n_head=2, d_model=10, d_mlp=11, n_ctx=13)  # reads real text: 50,257 tokens
BATCH, POS = 4, 7  # a batch of prompts that shares no size with TINY either


def weight_shapes(config: GPT2Config) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a checkpoint, by name; written out here, so that the code's own table is checked."""
    d_model, d_mlp = config.d_model, config.d_mlp
    block: dict[str, tuple[int, ...]] = {
        "ln_1.weight": (d_model,),
        "ln_1.bias": (d_model,),
        "attn.c_attn.weight": (d_model, 3 * d_model),
        "attn.c_attn.bias": (3 * d_model,),
        "attn.c_proj.weight": (d_model, d_model),
        "attn.c_proj.bias": (d_model,),
        "ln_2.weight": (d_model,),
        "ln_2.bias": (d_model,),
        "mlp.c_fc.weight": (d_model, d_mlp),
        "mlp.c_fc.bias": (d_mlp,),
        "mlp.c_proj.weight": (d_mlp, d_model),
        "mlp.c_proj.bias": (d_model,),
    }
    shapes: dict[str, tuple[int, ...]] = {
        "wte.weight": (config.d_vocab, d_model),
        "wpe.weight": (config.n_ctx, d_model),
    }
    for layer in range(config.n_layer):
        shapes |= {f"h.{layer}.{name}": shape for name, shape in block.items()}
    return shapes | {"ln_f.weight": (d_model,), "ln_f.bias": (d_model,)}


def random_weights(config: GPT2Config, *, seed: int = 0, std: float = 0.5) -> dict[str, np.ndarray]:
    """float32 weights by name: normal with `std`, around 1 for the norms' weights and around 0 for the rest.

    The default `std` is far above GPT-2's 0.02: with ten dimensions it gives attention that looks somewhere and logits
    that differ by a few nats, so that mistakes are visible.
    """
    generator = np.random.default_rng(seed)
    weights = {}
    for name, shape in weight_shapes(config).items():
        is_norm_weight = ".ln_" in f".{name}" and name.endswith("weight")
        noise = generator.standard_normal(shape, dtype=np.float32) * np.float32(std)
        weights[name] = noise + np.float32(is_norm_weight)
    return weights


def model_of(config: GPT2Config, weights: dict[str, np.ndarray], dtype: torch.dtype | None = None) -> GPT2:
    """Our GPT-2 with these weights, in evaluation mode, by equality of names and nothing else."""
    import torch

    from dashapp.model.gpt2 import GPT2

    with torch.device("meta"):  # no time spent on initial values that are replaced at once
        model = GPT2(config)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()}, assign=True)
    return model.to(dtype or torch.float32).eval()


def tiny_model(config: GPT2Config = TINY, *, seed: int = 0, dtype: torch.dtype | None = None) -> GPT2:
    """A GPT-2 that runs in a millisecond, in evaluation mode."""
    return model_of(config, random_weights(config, seed=seed), dtype)


def random_ids(config: GPT2Config, *shape: int, seed: int = 1) -> torch.Tensor:
    """Token ids [*shape], int64."""
    import torch

    return torch.from_numpy(np.random.default_rng(seed).integers(config.d_vocab, size=shape))


def config_json(config: GPT2Config) -> dict[str, object]:
    """The fields of a Hugging Face config.json that say `config`."""
    sizes = {
        "model_type": "gpt2",
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_embd": config.d_model,
        "n_inner": config.d_mlp,
        "n_positions": config.n_ctx,
        "vocab_size": config.d_vocab,
    }
    same_name = ("layer_norm_epsilon", "embd_pdrop", "attn_pdrop", "resid_pdrop")
    options = ("scale_attn_weights", "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn")
    return sizes | {name: getattr(config, name) for name in (*same_name, *options)}


def save_model_folder(folder: Path, config: GPT2Config = TINY_TEXT, *, seed: int = 0) -> Path:
    """A model folder in Hugging Face format with random weights; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config_json(config)), encoding="utf-8")
    save_tensors(folder / "model.safetensors", random_weights(config, seed=seed), {"format": "pt"})
    return folder


def stored_rtol(trace: Trace) -> float:
    """How far any column may be off: it divides by exp of the stored log-sum-exp, which float32 scores went into.

    A sum of d_head float32 products is off by up to (d_head + 1) · 6e-8 · Σ|q k|, whatever the order of summation, and
    processors differ in it; three more roundings take the largest out of a row's log_softmax and add it again.
    """
    q, k = (np.abs(part.astype(np.float64)) for part in (trace.q, trace.k))  # [layer head pos d_head]
    scales = np.array([trace.config.attn_scale(layer) for layer in range(trace.config.n_layer)])
    largest = float((q @ k.swapaxes(-1, -2) * scales[:, None, None, None]).max())
    unit = float(np.finfo(np.float32).eps) / 2
    return (trace.config.d_head + 4) * unit * largest
