"""Our GPT-2 beside Hugging Face's on one prompt: is it the same function?

Hugging Face's code reads the same files by itself, so that a mistake in reading them would show as well. Both compute
in float32 or float64, whatever jobs compute in: bfloat16 rounds so much that a mistake could hide in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor

from dashapp.errors import TransformersMissing
from dashapp.experiments.results import Parity, ParityDtype
from dashapp.model.checkpoint import load_model
from dashapp.model.gpt2 import GPT2
from dashapp.model.tap import Tap
from dashapp.model.weights import Weights

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel


Progress = Callable[[float], None]  # told a share of the whole; may raise to end the work
LOADING_SHARE: Final = 0.5  # of the time: importing transformers takes longer than a short prompt


def parity_of(
    weights: Weights, token_ids: np.ndarray, *, dtype: ParityDtype, progress: Progress = lambda share: None
) -> Parity:
    """Load both models from one folder and compare them on some tokens [pos]. Raises: TransformersMissing."""
    start = time.monotonic()
    ours = load_model(weights, dtype=dtype, device="cpu")
    theirs = load_reference(weights.folder, dtype=dtype)

    def tell(share: float) -> None:
        progress(LOADING_SHARE + (1 - LOADING_SHARE) * share)

    tell(0.0)
    return compare(ours, theirs, token_ids, dtype=dtype, since=start, progress=tell)


def load_reference(folder: Path, *, dtype: ParityDtype) -> GPT2LMHeadModel:
    """Hugging Face's GPT-2 with the weights of a folder, in evaluation mode. Raises: TransformersMissing."""
    try:
        import transformers  # takes seconds, and only this needs it
    except ImportError as error:
        raise TransformersMissing(error) from error
    quiet: Any = transformers.utils.logging  # parts of it carry no types
    quiet.disable_progress_bar()
    reference: Any = transformers.GPT2LMHeadModel.from_pretrained(
        folder,
        local_files_only=True,
        use_safetensors=True,
        dtype=getattr(torch, dtype),
        attn_implementation="eager",  # the one that tells its attention weights
    )
    model: GPT2LMHeadModel = reference.eval()
    return model


@torch.no_grad()
def compare(
    ours: GPT2,
    theirs: GPT2LMHeadModel,
    token_ids: np.ndarray,
    *,
    dtype: ParityDtype,
    since: float,
    progress: Progress = lambda share: None,
) -> Parity:
    """Both models' residual streams, patterns and logits on some tokens [pos]; `since`: when the work began.

    Our blocks run one by one while Hugging Face's do, for the patterns of a long prompt would fill the memory if those
    of all layers were kept. The logits are those of our whole, fused forward pass.
    """
    ids = torch.from_numpy(np.asarray(token_ids, dtype=np.int64))[None]  # [batch pos], a batch of one
    steps = _Steps(ours, ours.embed(ids), progress)
    hooks = [theirs.transformer.h[0].register_forward_pre_hook(lambda _block, inputs: steps.embedded(inputs[0]))]
    blocks: Any = theirs.transformer.h
    for layer, block in enumerate(blocks):
        hooks.append(block.attn.register_forward_hook(lambda _attn, _inputs, output: steps.attended(output[1])))
        hooks.append(block.register_forward_hook(_after(layer, steps)))
    try:
        reference = theirs(ids, use_cache=False).logits
    finally:
        for hook in hooks:
            hook.remove()
    logits = ours(ids)
    return Parity(
        dtype=dtype,
        n_tokens=ids.shape[1],
        resid=np.array(steps.resid),
        resid_scale=np.array(steps.resid_scale),
        pattern=np.array(steps.pattern),
        logits=_difference(logits, reference),
        logits_scale=float(reference.abs().max()),
        n_same_top=int((logits.argmax(dim=-1) == reference.argmax(dim=-1)).sum()),
        seconds=time.monotonic() - since,
    )


class _Steps:
    """Our forward pass, block by block, and how far each step is from Hugging Face's."""

    def __init__(self, ours: GPT2, embedded: Tensor, progress: Progress) -> None:
        self.ours, self.x = ours, embedded  # [batch pos d_model]
        self._progress = progress
        self.resid: list[float] = []
        self.resid_scale: list[float] = []
        self.pattern: list[float] = []
        self._their_pattern: Tensor | None = None

    def embedded(self, theirs: Tensor) -> None:
        """Hugging Face's blocks begin with this stream."""
        self.resid.append(_difference(self.x, theirs))
        self.resid_scale.append(float(theirs.abs().max()))

    def attended(self, pattern: Tensor) -> None:
        """Hugging Face's attention looked like this: [batch head query key]."""
        self._their_pattern = pattern

    def left(self, layer: int, theirs: Tensor) -> None:
        """Hugging Face's stream after a layer; ours takes the same layer."""
        seen = Tap.reading("pattern")
        self.x = self.ours.h[layer](self.x, None, seen)
        assert self._their_pattern is not None, "attention comes before the end of its block"
        self.pattern.append(_difference(seen.activations["pattern", layer], self._their_pattern))
        self._their_pattern = None
        self.embedded(theirs)
        self._progress((layer + 1) / (len(self.ours.h) + 1))


def _after(layer: int, steps: _Steps) -> Callable[[Any, Any, Tensor], None]:
    return lambda _block, _inputs, output: steps.left(layer, output)


def _difference(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape, "two results of the same shape"
    return float((ours - theirs).abs().max())
