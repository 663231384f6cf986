"""Random weights of a published shape, in a folder that the app and Hugging Face's library read.

    python -m benchmarks.make_model gpt2 FOLDER

For benchmarks, and for trying 1,024 tokens at full size where nothing may be fetched. What such a model writes means
nothing. Knows the published shapes; knows nothing of what is measured.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np

from dashapp.model.config import GPT2Config
from dashapp.model.registry import HUB_MODELS
from dashapp.model.tensorfile import save_tensors
from dashapp.model.weights import CONFIG_FILE, WEIGHTS_FILE, tensor_shapes

STD = 0.02  # GPT-2's initialisation (Radford et al. 2019)


def make_model(config: GPT2Config, folder: Path, *, seed: int = 0) -> Path:
    """Write float32 weights and a config.json into `folder` and return it. Needs memory for all weights.

    Normal with deviation 0.02, output projections divided by √(2·n_layer), norms 1 and biases 0, as GPT-2 begins.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    weights = {name: _initial(name, shape, config, generator) for name, shape in tensor_shapes(config).items()}
    save_tensors(folder / WEIGHTS_FILE, weights, {"format": "pt"})
    (folder / CONFIG_FILE).write_text(json.dumps(_hf_fields(config), indent=1), encoding="utf-8")
    return folder


def _initial(name: str, shape: tuple[int, ...], config: GPT2Config, generator: np.random.Generator) -> np.ndarray:
    if len(shape) == 1:
        is_norm_weight = name.startswith("ln_") or ".ln_" in name
        return np.full(shape, float(is_norm_weight and name.endswith("weight")), dtype=np.float32)
    std = STD / math.sqrt(2 * config.n_layer) if name.endswith("c_proj.weight") else STD
    return generator.standard_normal(shape, dtype=np.float32) * np.float32(std)


def _hf_fields(config: GPT2Config) -> dict[str, object]:
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "activation_function": "gelu_new",
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_embd": config.d_model,
        "n_inner": config.d_mlp,
        "n_positions": config.n_ctx,
        "vocab_size": config.d_vocab,
        "layer_norm_epsilon": config.layer_norm_epsilon,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.make_model", description=__doc__.partition("\n")[0])
    parser.add_argument("shape", choices=sorted(HUB_MODELS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    folder = make_model(HUB_MODELS[chosen.shape].config, chosen.folder, seed=chosen.seed)
    print(f"{folder}: random weights of the shape of {chosen.shape}")


if __name__ == "__main__":
    main()
