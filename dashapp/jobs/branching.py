"""Where a branch begins: with the keys and values of the tokens that it shares with an earlier text.

They come from the trace of that text and are not computed again. Looking only back, attention makes a token's keys and
values depend on nothing that follows it, so those of a shared beginning are the branch's own (but for rounding: see
docs/numerics.md). A branch's trace is made as any other, in one whole pass.
"""

from __future__ import annotations

import numpy as np
import torch

from dashapp.model.checkpoint import dtype_name, weights_of
from dashapp.model.gpt2 import GPT2, KeyValueCache
from dashapp.traces.record import Trace


def n_shared(one: np.ndarray, other: np.ndarray) -> int:
    """How many leading tokens two texts have in common; both int32 [pos]."""
    n = min(len(one), len(other))
    differs = np.flatnonzero(one[:n] != other[:n])
    return int(differs[0]) if len(differs) else n


def cache_of_ancestor(
    ancestor: Trace | None, model: GPT2, ids: np.ndarray, *, n_new: int, batch: int = 1
) -> KeyValueCache | None:
    """Keys and values of the tokens of `ids` that an earlier text shares, with room for the others and `n_new` more.

    The last token is left to be read, for its prediction is wanted. None where nothing is shared, or the ancestor is
    of other weights or another dtype. batch: so many copies.
    """
    if ancestor is None or ancestor.fingerprint != weights_of(model).fingerprint or ancestor.dtype != dtype_name(model):
        return None
    n = min(n_shared(ancestor.token_ids, ids), len(ids) - 1)
    if n == 0:
        return None
    cache = KeyValueCache.empty(model, capacity=len(ids) + n_new, batch=batch)
    for layer in range(model.config.n_layer):
        cache.k[layer, :, :, :n] = torch.as_tensor(np.array(ancestor.read("k", layer)[:, :n]))
        cache.v[layer, :, :, :n] = torch.as_tensor(np.array(ancestor.read("v", layer)[:, :n]))
    cache.advance(n)
    return cache
