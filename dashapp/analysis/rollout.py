"""All layers together: attention rollout, and attention flow of one token (Abnar & Zuidema 2020).

Both read the mean pattern of each layer's heads, half of it and half the token itself, which stands for the residual
stream: Â = ½ Ā + ½ I. They ignore values, MLPs and LayerNorms: a rough guess, not an attribution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from dashapp.analysis.stages import layer_mean, without_first
from dashapp.traces.record import Trace

MOST_FLOW_TOKENS: Final = 64  # up to and with the one whose flow is computed: the time grows with their third power
UNITS: Final = 1_000_000  # of capacity in an edge of weight 1: maximum flow is computed in whole numbers

Progress = Callable[[float], None]  # told a share of the whole; may raise to end the work


def mixed(mean: np.ndarray, *, is_first_out: bool) -> np.ndarray:
    """Â of a layer's mean pattern [query key]: float64 [query key], rows sum to 1.

    is_first_out: the first token is left out of Ā, whose rows are made to sum to 1 again; where nothing is left of a
    row, the token keeps all it has.
    """
    kept = mean.astype(np.float64)
    if is_first_out:
        kept = np.nan_to_num(without_first(mean).astype(np.float64))
    rest = 1 - kept.sum(axis=-1)  # rounding, and all of a row of which nothing is left
    kept[np.diag_indices_from(kept)] += rest
    return 0.5 * kept + 0.5 * np.eye(len(kept))


def rollout(trace: Trace, *, is_first_out: bool, progress: Progress = lambda share: None) -> dict[str, np.ndarray]:
    """`rollout`: R = Â_L … Â_1, the share of each input token (key) in each position (query); and `mean`: the mean
    pattern of all heads of all layers. float32 [query key] each, rows sum to 1.
    """
    n_layer = trace.config.n_layer
    reached, mean = np.eye(trace.n_tokens), np.zeros((trace.n_tokens, trace.n_tokens))
    for layer in range(n_layer):
        pattern = layer_mean(trace, layer)
        mean += pattern / n_layer
        reached = mixed(pattern, is_first_out=is_first_out) @ reached
        progress((layer + 1) / n_layer)
    return {"rollout": reached.astype(np.float32), "mean": mean.astype(np.float32)}


def attention_flow(
    trace: Trace, pos: int, *, is_first_out: bool, progress: Progress = lambda share: None
) -> np.ndarray:
    """How much can flow from each input token to a position through all layers: float64 [pos + 1], 0..1 each.

    Maximum flow from the token at the top to each token at the bottom, each by itself, through edges whose capacities
    are Â; in steps of 1e-6. Paths share what they can, so the flows do not sum to 1.
    """
    mean = [layer_mean(trace, layer)[: pos + 1, : pos + 1] for layer in range(trace.config.n_layer)]
    return flow_through([mixed(each, is_first_out=is_first_out) for each in mean], progress=progress)


def flow_through(layers: list[np.ndarray], *, progress: Progress = lambda share: None) -> np.ndarray:
    """Maximum flow from the last token above all layers to each token below them: float64 [pos].

    layers: capacities [query key] of each layer, from the bottom up, nothing above the diagonal.
    """
    from scipy.sparse import coo_array  # imported here, for they take a fifth of the server's start
    from scipy.sparse.csgraph import maximum_flow

    n, n_layer = len(layers[0]), len(layers)
    sources, targets, capacities = [], [], []
    for layer, weights in enumerate(layers):
        queries, keys = np.nonzero(np.tril(weights))
        sources.append((layer + 1) * n + queries)  # nodes: n at the bottom, then n above each layer
        targets.append(layer * n + keys)
        capacities.append(np.rint(weights[queries, keys] * UNITS).astype(np.int32))
    shape = ((n_layer + 1) * n,) * 2
    edges = (np.concatenate(sources), np.concatenate(targets))
    graph = coo_array((np.concatenate(capacities), edges), shape=shape).tocsr()
    flows = np.empty(n)
    for key in range(n):
        flows[key] = maximum_flow(graph, shape[0] - 1, key).flow_value / UNITS
        progress((key + 1) / n)
    return flows
