"""One neuron, and all of them by what they add to a logit: what it did along the text, and what it writes.

A neuron writes its activation times its row of W_out. What that does to a logit is the row's product with a direction
(see `attribution`), so the rows of a layer meet the direction first and nothing has a number for each neuron and
component at each token. Reads one trace and some weights; runs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dashapp.analysis.activations import gelu
from dashapp.analysis.attribution import reader
from dashapp.model.sampling import largest
from dashapp.traces.record import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuronParts:
    """What every neuron adds to the logit of `target` over that of `against`, or over the mean of all tokens (None).

    added: float64 [layer neuron], in nats. mlps: float64 [layer], what each MLP added by the stream, without b_out; the
    sum of its neurons up to rounding.
    """

    pos: int
    target: int
    against: int | None
    added: np.ndarray
    mlps: np.ndarray

    @property
    def gap(self) -> float:
        """The largest difference between an MLP and the sum of its neurons."""
        return float(np.abs(self.mlps - self.added.sum(axis=1)).max())

    def strongest(self, n: int) -> list[tuple[int, int]]:
        """The n neurons that add most, for or against, as (layer, neuron), strongest first, equals by number."""
        order = np.argsort(-np.abs(self.added), axis=None, kind="stable")[:n]
        layers, neurons = np.unravel_index(order, self.added.shape)
        return list(zip(layers.tolist(), neurons.tolist(), strict=True))


def neuron_parts(trace: Trace, pos: int, *, target: int, against: int | None) -> NeuronParts:
    """Every neuron's part of a logit at one token. Raises: WeightsMissing."""
    towards, _bias = reader(trace, target=target, against=against)
    towards = towards * float(trace.read("ln_scale", -1)[pos])
    added, mlps = [], []
    for layer in range(trace.config.n_layer):
        activations = gelu(trace.read("mlp_pre", layer)[pos]).astype(np.float64)
        added.append(activations * (_out_rows(trace, layer) @ towards.astype(np.float32)))
        written = trace.read("resid", 2 * layer + 2)[pos].astype(np.float64) - trace.read("resid", 2 * layer + 1)[pos]
        bias = trace.weights.float32(f"h.{layer}.mlp.c_proj.bias", dtype=trace.dtype).astype(np.float64)
        mlps.append((written - bias) @ towards)
    return NeuronParts(pos=pos, target=target, against=against, added=np.stack(added), mlps=np.array(mlps))


@dataclass(frozen=True, slots=True, kw_only=True)
class Neuron:
    """One neuron. pre, post: float32 [pos], before and after GELU. output_norm: of its row of W_out.

    promoted, suppressed: int [shown], the tokens whose logits its row raises and lowers most, the most first;
    promoted_by, suppressed_by: float32 [shown], by how much for an activation of 1 and a final spread of 1, over the
    mean of all tokens. added: float64 [pos], what it adds to the logit of the target at each token, in nats.
    """

    layer: int
    neuron: int
    pre: np.ndarray
    post: np.ndarray
    output_norm: float
    promoted: np.ndarray
    promoted_by: np.ndarray
    suppressed: np.ndarray
    suppressed_by: np.ndarray
    added: np.ndarray


def neuron_at_work(trace: Trace, layer: int, neuron: int, *, target: int, against: int | None, n_shown: int) -> Neuron:
    """One neuron along the text, and in the vocabulary. Raises: WeightsMissing."""
    row = _out_rows(trace, layer)[neuron].astype(np.float64)
    gain = trace.weights.float32("ln_f.weight", dtype=trace.dtype).astype(np.float64)
    raised = trace.unembedded((gain * (row - row.mean()))[None])[0]
    raised -= raised.mean(dtype=np.float64).astype(np.float32)
    promoted, suppressed = largest(raised, n_shown), largest(-raised, n_shown)
    towards, _bias = reader(trace, target=target, against=against)
    pre = np.array(trace.read("mlp_pre", layer)[:, neuron])
    post = gelu(pre)
    return Neuron(
        layer=layer,
        neuron=neuron,
        pre=pre,
        post=post,
        output_norm=float(np.linalg.norm(row)),
        promoted=promoted,
        promoted_by=raised[promoted],
        suppressed=suppressed,
        suppressed_by=raised[suppressed],
        added=post * trace.read("ln_scale", -1).astype(np.float64) * float(row @ towards),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparsity:
    """How few neurons of each layer are at work: float64 [layer] each, means over tokens.

    active: share of neurons above 0 before GELU, which are those that GELU lets through. few: how many neurons would
    hold as much if all held the same, (Σ a²)² / Σ a⁴, as a share of the layer. without_first: whether position 0, which
    behaves differently, is left out of the means; it is, unless it is alone.
    """

    active: np.ndarray
    few: np.ndarray
    without_first: bool


def sparsity(trace: Trace) -> Sparsity:
    """Sparsity of every layer over the text. few: the participation ratio (Bell & Dean 1970), between 1/d_mlp and 1."""
    without_first = trace.n_tokens > 1
    active, few = [], []
    for layer in range(trace.config.n_layer):
        pre = trace.read("mlp_pre", layer)[1:] if without_first else trace.read("mlp_pre", layer)
        squares = np.square(gelu(pre))
        whole, fourth = squares.sum(axis=1, dtype=np.float64), np.square(squares).sum(axis=1, dtype=np.float64)
        active.append(float((pre > 0).mean()))
        few.append(float(np.mean(np.square(whole) / np.maximum(fourth, np.finfo(np.float64).tiny)) / pre.shape[1]))
    return Sparsity(active=np.array(active), few=np.array(few), without_first=without_first)


def _out_rows(trace: Trace, layer: int) -> np.ndarray:
    """What each neuron writes for an activation of 1: float32 [d_mlp d_model], mapped where the file is."""
    return trace.weights.float32(f"h.{layer}.mlp.c_proj.weight", dtype=trace.dtype)
