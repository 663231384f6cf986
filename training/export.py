"""The demo model's folder: float16 safetensors under the checkpoint's names, and a config in Hugging Face's format."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from dashapp.model.config import GPT2Config
from dashapp.model.gpt2 import GPT2


def hf_config(config: GPT2Config) -> dict[str, object]:
    """The fields of a Hugging Face `config.json` for a model with GPT-2's own options."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_embd": config.d_model,
        "n_inner": None if config.d_mlp == 4 * config.d_model else config.d_mlp,
        "n_positions": config.n_ctx,
        "n_ctx": config.n_ctx,
        "vocab_size": config.d_vocab,
        "layer_norm_epsilon": config.layer_norm_epsilon,
        "attn_pdrop": config.attn_pdrop,
        "embd_pdrop": config.embd_pdrop,
        "resid_pdrop": config.resid_pdrop,
        "tie_word_embeddings": True,
        "bos_token_id": 50256,
        "eos_token_id": 50256,
        "torch_dtype": "float16",
    }


def save_model(model: GPT2, folder: Path) -> None:
    """Write `config.json` and `model.safetensors` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(hf_config(model.config), indent=2) + "\n")
    half = {name: tensor.detach().to("cpu", torch.float16).contiguous() for name, tensor in model.state_dict().items()}
    save_file(half, folder / "model.safetensors", metadata={"format": "pt"})
