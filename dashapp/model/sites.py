"""The named activations of a forward pass: where a tap may read or replace. Torch-free.

One row a site, in the order of the computation. Names follow TransformerLens; axes use the house words. Sites inside a
block exist once a layer; `embed`, `pos_embed`, `ln_final_scale`, `ln_final` and `logits` exist once a pass.
"""

from __future__ import annotations

from typing import Final

SITES: Final[dict[str, tuple[str, ...]]] = {
    "embed": ("batch", "pos", "d_model"),  # rows of wte
    "pos_embed": ("batch", "pos", "d_model"),  # rows of wpe
    "resid_pre": ("batch", "pos", "d_model"),  # the residual stream entering a block
    "ln1_scale": ("batch", "pos"),  # 1/σ of the block's first norm
    "ln1": ("batch", "pos", "d_model"),  # its output, what q, k and v are made of
    "q": ("batch", "head", "pos", "d_head"),
    "k": ("batch", "head", "pos", "d_head"),
    "v": ("batch", "head", "pos", "d_head"),
    "scores": ("batch", "head", "query", "key"),  # q·k times the scale, −inf above the diagonal
    "pattern": ("batch", "head", "query", "key"),  # softmax of the scores: rows sum to 1
    "z": ("batch", "head", "pos", "d_head"),  # pattern-weighted sum of v
    "attn_out": ("batch", "pos", "d_model"),
    "resid_mid": ("batch", "pos", "d_model"),  # resid_pre + attn_out
    "ln2_scale": ("batch", "pos"),
    "ln2": ("batch", "pos", "d_model"),
    "mlp_pre": ("batch", "pos", "d_mlp"),  # before GELU
    "mlp_post": ("batch", "pos", "d_mlp"),  # after GELU: the neurons' activations
    "mlp_out": ("batch", "pos", "d_model"),
    "resid_post": ("batch", "pos", "d_model"),  # resid_mid + mlp_out
    "ln_final_scale": ("batch", "pos"),
    "ln_final": ("batch", "pos", "d_model"),  # what the unembedding reads
    "logits": ("batch", "pos", "d_vocab"),
}

ONCE_A_PASS: Final = frozenset({"embed", "pos_embed", "ln_final_scale", "ln_final", "logits"})

# Sites that exist only when attention is computed step by step; asking for one leaves the fused path in that layer.
EXPLICIT_ATTENTION: Final = frozenset({"scores", "pattern"})
