"""GPT-2 (Radford et al. 2019), ordered as the computation: norm, attention, MLP, block, model.

tokens → wte + wpe → n_layer × [x + attention(LayerNorm(x)), x + MLP(LayerNorm(x))] → LayerNorm → unembedding

Parameter names and layouts are the published checkpoint's, so loading is equality of names. Every activation named in
`sites` passes through a tap, which may read or replace it; without one, attention runs fused. Knows nothing of text,
files, traces or sampling. Axes: `batch pos d_model`, `batch head query key`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dashapp.model.config import GPT2Config
from dashapp.model.sites import EXPLICIT_ATTENTION
from dashapp.model.tap import NO_TAP, Tap

if TYPE_CHECKING:
    from dashapp.model.weights import Weights


ALL_TOKENS = slice(None)


class LayerNorm(nn.Module):
    """weight ⊙ (x − mean) / √(variance + eps) + bias over the last axis, with the biased variance (Ba et al. 2016).

    Statistics are taken in float32 or better, and the result has the dtype of `x`.
    """

    def __init__(self, d_model: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))
        self.eps = eps

    def forward(self, x: Tensor, tap: Tap = NO_TAP, site: str = "", layer: int | None = None) -> Tensor:
        wide = at_least_float32(x)
        centred = wide - wide.mean(dim=-1, keepdim=True)
        # The two-pass variance: as exact as torch.var_mean, which takes more than twice the time of this whole norm.
        scale = torch.rsqrt(centred.square().mean(dim=-1, keepdim=True) + self.eps)  # [batch pos 1], 1/σ
        if site:
            scale = tap(f"{site}_scale", layer, scale.squeeze(-1)).unsqueeze(-1)
        normed = torch.addcmul(self.bias, centred * scale, self.weight).to(x.dtype)  # [batch pos d_model]
        return tap(site, layer, normed) if site else normed


class Projection(nn.Module):
    """x @ weight + bias. The weight is stored input × output, as the checkpoint has it (not as nn.Linear does)."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(d_in, d_out))
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x.reshape(-1, x.shape[-1]), self.weight).view(*x.shape[:-1], -1)


class LayerMemory(Protocol):
    """What attention asks of a key/value cache: store the new keys and values, return all of them."""

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]: ...


class CausalSelfAttention(nn.Module):
    """Multi-head attention in which a query looks only at itself and earlier keys (Vaswani et al. 2017, section 3.2).

    pattern = softmax(q kᵀ · scale, future masked), z = pattern v, output = z W_O + b_O.
    The fused path never holds the pattern; the explicit one runs in the layers where a tap asks for `scores` or
    `pattern`.
    """

    def __init__(self, config: GPT2Config, layer: int) -> None:
        super().__init__()
        self.c_attn = Projection(config.d_model, 3 * config.d_model)
        self.c_proj = Projection(config.d_model, config.d_model)
        self.attn_dropout = nn.Dropout(config.attn_pdrop)
        self.resid_dropout = nn.Dropout(config.resid_pdrop)
        self.n_head, self.layer = config.n_head, layer
        self.scale = config.attn_scale(layer)
        self.upcast = config.reorder_and_upcast_attn

    def forward(self, x: Tensor, memory: LayerMemory | None = None, tap: Tap = NO_TAP) -> Tensor:
        q, k, v = self.heads(x, tap)
        if memory is not None:
            k, v = memory.extend(self.layer, k, v)  # [batch head key d_head]
        z = tap("z", self.layer, self.attend(q, k, v, tap).to(x.dtype))  # [batch head query d_head]
        return self.write(z)

    def heads(self, x: Tensor, tap: Tap = NO_TAP) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of every head [batch head pos d_head], of normed x [batch pos d_model]."""
        qkv = self.c_attn(x).unflatten(-1, (3, self.n_head, -1)).permute(2, 0, 3, 1, 4)
        return tap("q", self.layer, qkv[0]), tap("k", self.layer, qkv[1]), tap("v", self.layer, qkv[2])

    def attend(self, q: Tensor, k: Tensor, v: Tensor, tap: Tap = NO_TAP) -> Tensor:
        """What each head gathers: z [batch head query d_head]. The last query stands at the last key."""
        if self.upcast:
            q, k, v = at_least_float32(q), at_least_float32(k), at_least_float32(v)
        is_explicit = any(tap.wants(site, self.layer) for site in EXPLICIT_ATTENTION)
        return self._explicit(q, k, v, tap) if is_explicit else self._fused(q, k, v)

    def write(self, z: Tensor) -> Tensor:
        """What the heads together add to the stream: [batch pos d_model]."""
        merged = z.transpose(1, 2).flatten(2)  # [batch pos d_model]
        return self.resid_dropout(self.c_proj(merged))

    def _fused(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        n_query, n_key = q.shape[-2], k.shape[-2]
        return F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=None if n_query in (1, n_key) else is_visible(n_query, n_key, q.device),
            is_causal=n_query == n_key and n_query > 1,
            dropout_p=self.attn_dropout.p if self.training else 0.0,
            scale=self.scale,
        )

    def _explicit(self, q: Tensor, k: Tensor, v: Tensor, tap: Tap) -> Tensor:
        # Scores and softmax in float32 or better, as the fused kernel accumulates them.
        scores = at_least_float32(q) @ at_least_float32(k).transpose(-1, -2) * self.scale
        scores = scores.masked_fill(~is_visible(q.shape[-2], k.shape[-2], q.device), -math.inf)
        scores = tap("scores", self.layer, scores)  # [batch head query key]
        pattern = tap("pattern", self.layer, scores.softmax(dim=-1))  # [batch head query key]
        return self.attn_dropout(pattern).to(v.dtype) @ v  # [batch head query d_head]


class MLP(nn.Module):
    """W_out · GELU(W_in · x + b_in) + b_out, GELU in its tanh form (Hendrycks & Gimpel 2016)."""

    def __init__(self, config: GPT2Config, layer: int) -> None:
        super().__init__()
        self.c_fc = Projection(config.d_model, config.d_mlp)
        self.c_proj = Projection(config.d_mlp, config.d_model)
        self.dropout = nn.Dropout(config.resid_pdrop)
        self.layer = layer

    def forward(self, x: Tensor, tap: Tap = NO_TAP) -> Tensor:
        pre = tap("mlp_pre", self.layer, self.c_fc(x))  # [batch pos d_mlp]
        post = tap("mlp_post", self.layer, F.gelu(pre, approximate="tanh"))  # [batch pos d_mlp]
        return self.dropout(self.c_proj(post))


class Block(nn.Module):
    """One layer: attention, then MLP, each reading a normed copy of the residual stream and adding to it."""

    def __init__(self, config: GPT2Config, layer: int) -> None:
        super().__init__()
        self.ln_1 = LayerNorm(config.d_model, config.layer_norm_epsilon)
        self.attn = CausalSelfAttention(config, layer)
        self.ln_2 = LayerNorm(config.d_model, config.layer_norm_epsilon)
        self.mlp = MLP(config, layer)
        self.layer = layer

    def forward(self, x: Tensor, memory: LayerMemory | None = None, tap: Tap = NO_TAP) -> Tensor:
        layer = self.layer
        x = tap("resid_pre", layer, x)
        attn_out = tap("attn_out", layer, self.attn(self.ln_1(x, tap, "ln1", layer), memory, tap))
        x = tap("resid_mid", layer, x + attn_out)
        mlp_out = tap("mlp_out", layer, self.mlp(self.ln_2(x, tap, "ln2", layer), tap))
        return tap("resid_post", layer, x + mlp_out)


class GPT2(nn.Module):
    """GPT-2 with a language-modelling head whose weights are the token embeddings.

    `model(ids)` gives all logits. `body` and `unembed` are its two halves, for callers that need few logits;
    `run_blocks` enters at any layer, for experiments that leave earlier layers as they were.
    """

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.config = config
        self.weights: Weights | None = None  # where the parameters came from, set by `checkpoint.load_model`
        # Empty, for numbers are loaded or drawn later: nn.Embedding would draw its own, which on the meta device costs
        # two seconds of imports.
        self.wte = nn.Embedding.from_pretrained(torch.empty(config.d_vocab, config.d_model), freeze=False)
        self.wpe = nn.Embedding.from_pretrained(torch.empty(config.n_ctx, config.d_model), freeze=False)
        self.drop = nn.Dropout(config.embd_pdrop)
        self.h = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
        self.ln_f = LayerNorm(config.d_model, config.layer_norm_epsilon)

    def forward(self, ids: Tensor, *, tap: Tap = NO_TAP) -> Tensor:
        """Logits [batch pos d_vocab] of token ids [batch pos]."""
        return tap("logits", None, self.unembed(self.body(ids, tap=tap)))

    def body(self, ids: Tensor, *, cache: KeyValueCache | None = None, tap: Tap = NO_TAP) -> Tensor:
        """What the unembedding reads [batch pos d_model]; with a cache, `ids` continue the tokens it holds."""
        x = self.embed(ids, cache.n_tokens if cache else 0, tap)
        x = self.run_blocks(x, cache=cache, tap=tap)
        return self.ln_f(x, tap, "ln_final")

    def embed(self, ids: Tensor, first_pos: int = 0, tap: Tap = NO_TAP) -> Tensor:
        """Token plus positional embeddings [batch pos d_model]: the residual stream before layer 0."""
        n_pos = ids.shape[-1]
        if first_pos + n_pos > self.config.n_ctx:
            raise ValueError(f"positions {first_pos}..{first_pos + n_pos - 1} pass n_ctx = {self.config.n_ctx}")
        embed = tap("embed", None, self.wte(ids))
        positions = torch.arange(first_pos, first_pos + n_pos, device=ids.device)
        pos_embed = tap("pos_embed", None, self.wpe(positions).expand_as(embed))
        return self.drop(embed + pos_embed)

    def run_blocks(
        self, x: Tensor, *, first_layer: int = 0, cache: KeyValueCache | None = None, tap: Tap = NO_TAP
    ) -> Tensor:
        """The residual stream after the last block, given the one before `first_layer`: both [batch pos d_model]."""
        tap.expect_layers(self.config.n_layer)
        for block in self.h[first_layer:]:
            x = block(x, cache, tap)
        if cache is not None:
            cache.advance(x.shape[1])
        return x

    def unembed(self, normed: Tensor, *, tokens: slice = ALL_TOKENS) -> Tensor:
        """Logits [… d_vocab] of final-normed states [… d_model]; those of some tokens, when asked."""
        return F.linear(normed, self.wte.weight[tokens])

    @property
    def device(self) -> torch.device:
        return self.wte.weight.device

    def init_weights(self, generator: torch.Generator, std: float = 0.02) -> GPT2:
        """GPT-2's initialisation: normal with `std`, output projections divided by √(2·n_layer), biases zero."""
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                shrink = math.sqrt(2 * self.config.n_layer) if name.endswith("c_proj.weight") else 1.0
                nn.init.normal_(parameter, std=std / shrink, generator=generator)
        return self


class KeyValueCache:
    """Keys and values of the tokens a model has read, so that the next token costs one position.

    k, v: [layer batch head capacity d_head]; the first `n_tokens` positions are filled.
    Raises: ValueError for more tokens than the capacity, or another batch.
    """

    def __init__(self, k: Tensor, v: Tensor, n_tokens: int) -> None:
        self.k, self.v, self.n_tokens = k, v, n_tokens

    @classmethod
    def empty(cls, model: GPT2, *, capacity: int, batch: int = 1) -> KeyValueCache:
        config, like = model.config, model.wte.weight
        # Products round as their operands lie in memory: with every head at a multiple of 64 bytes, the same text is
        # drawn however much room was asked for.
        aligned = -capacity % 64 + capacity
        shape = (config.n_layer, batch, config.n_head, aligned, config.d_head)
        return cls(like.new_zeros(shape)[..., :capacity, :], like.new_zeros(shape)[..., :capacity, :], 0)

    @classmethod
    def from_trace(cls, model: GPT2, k: Tensor, v: Tensor, *, capacity: int) -> KeyValueCache:
        """A cache that starts from stored keys and values [layer head pos d_head] of an earlier pass."""
        cache = cls.empty(model, capacity=capacity)
        cache.n_tokens = k.shape[2]
        _fill(cache.k[:, 0, :, : cache.n_tokens], k)
        _fill(cache.v[:, 0, :, : cache.n_tokens], v)
        return cache

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store one layer's new keys and values; return all of that layer, [batch head key d_head]."""
        end = self.n_tokens + k.shape[2]
        _fill(self.k[layer, :, :, self.n_tokens : end], k)
        _fill(self.v[layer, :, :, self.n_tokens : end], v)
        return self.k[layer, :, :, :end], self.v[layer, :, :, :end]

    def advance(self, n_new: int) -> None:
        """Count the tokens that all layers have now stored."""
        self.n_tokens += n_new


def _fill(room: Tensor, values: Tensor) -> None:
    if room.shape != values.shape:  # copying would broadcast: one token into no room, one prompt into all of a batch
        raise ValueError(f"the cache has room for {tuple(room.shape)} here, got {tuple(values.shape)}")
    room.copy_(values)


def is_visible(n_query: int, n_key: int, device: torch.device) -> Tensor:
    """True where a query may look at a key, bool [query key]; the last query is the last key."""
    return torch.ones(n_query, n_key, dtype=torch.bool, device=device).tril(diagonal=n_key - n_query)


def at_least_float32(x: Tensor) -> Tensor:
    """`x` in float32, or as it is when wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
