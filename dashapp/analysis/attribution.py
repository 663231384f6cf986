"""Direct logit attribution: what each part of the model adds to the logit of a token (Elhage et al. 2021).

The last state of the residual stream is the sum of what was written into it, and with the final LayerNorm's spread kept
as it was in the run, a logit is linear in that state. So the parts add up to it. Reads one trace and some weights; runs
nothing, and never holds what each neuron writes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dashapp.analysis.attention import looks_at
from dashapp.analysis.logit_lens import final_logits
from dashapp.traces.record import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """What each part adds to the logit of `target`, over that of `against` or over the mean of all tokens (None).

    In nats, as logits are; float64. token, position: the embeddings. heads: [layer head], without their biases.
    attention: [layer], what a layer's attention added to the stream, without its biases; the sum of its heads up to
    rounding. mlps: [layer], without their biases. biases: of all layers, b_O, b_out, and b_V through W_O. final_bias:
    of the final LayerNorm. whole: what the model's own output has, which the parts add up to.
    """

    pos: int
    target: int
    against: int | None
    token: float
    position: float
    heads: np.ndarray
    attention: np.ndarray
    mlps: np.ndarray
    biases: float
    final_bias: float
    whole: float

    @property
    def n_terms(self) -> int:
        """How many parts there are: both embeddings, heads, MLPs, the biases of layers, the final norm's."""
        return 2 + self.heads.size + len(self.mlps) + 2

    @property
    def explained(self) -> float:
        """The sum of all parts, attention by its heads."""
        parts = (self.token, self.position, self.heads.sum(), self.mlps.sum(), self.biases, self.final_bias)
        return float(sum(parts))

    @property
    def remainder(self) -> float:
        """What the parts leave unexplained: rounding, if nothing is wrong."""
        return self.whole - self.explained

    @property
    def gap(self) -> float:
        """The largest difference between a layer's attention and the sum of its heads."""
        return float(np.abs(self.attention - self.heads.sum(axis=1)).max())


def attribution(trace: Trace, pos: int, *, target: int, against: int | None) -> Attribution:
    """The parts of a logit at one token. Raises: WeightsMissing."""
    layers = range(trace.config.n_layer)
    towards, final_bias = _direction(trace, pos, target=target, against=against)  # [d_model]
    written = _written(trace, pos) @ towards  # [2·n_layer], attention and MLP by turns
    of_heads = [_heads(trace, layer, pos, towards) for layer in layers]
    attn_biases = np.array([bias for _heads_of_layer, bias in of_heads])
    mlp_biases = np.array([_weight(trace, f"h.{layer}.mlp.c_proj.bias") @ towards for layer in layers])
    return Attribution(
        pos=pos,
        target=target,
        against=against,
        token=float(_row(trace, "wte.weight", int(trace.token_ids[pos])) @ towards),
        position=float(_row(trace, "wpe.weight", pos) @ towards),
        heads=np.stack([heads for heads, _bias in of_heads]),
        attention=written[0::2] - attn_biases,
        mlps=written[1::2] - mlp_biases,
        biases=float(attn_biases.sum() + mlp_biases.sum()),
        final_bias=final_bias,
        whole=_difference(trace, pos, target=target, against=against),
    )


def _written(trace: Trace, pos: int) -> np.ndarray:
    """What each attention and each MLP added at one token, by turns: float64 [2·n_layer d_model]."""
    points = range(2 * trace.config.n_layer + 1)
    states = np.stack([trace.read("resid", point)[pos] for point in points]).astype(np.float64)
    return np.diff(states, axis=0)


def _heads(trace: Trace, layer: int, pos: int, towards: np.ndarray) -> tuple[np.ndarray, float]:
    """What each head of a layer writes towards a direction [d_model], without biases: float64 [head]; and the biases.

    W_O meets the direction first, so nothing has more numbers than W_O. A row of the pattern sums to 1, so a head
    brings its b_V whatever it looks at; that is one of the layer's biases.
    """
    readout, value_bias = _readout(trace, layer, towards)
    heads: np.ndarray = ((_brought(trace, layer, pos) - value_bias) * readout).sum(axis=1)
    out_bias = _weight(trace, f"h.{layer}.attn.c_proj.bias") @ towards
    return heads, float((value_bias * readout).sum() + out_bias)


def head_parts(trace: Trace, z: np.ndarray, *, ln_scale: float, target: int, against: int | None) -> np.ndarray:
    """What each head adds to a logit, float64 [layer head], of a run of the same model that is no trace: z [layer head
    d_head], what its heads bring to a token; ln_scale: 1/σ of its final LayerNorm there. Raises: WeightsMissing.
    """
    towards = reader(trace, target=target, against=against)[0] * ln_scale
    parts = np.empty(z.shape[:2])
    for layer in range(trace.config.n_layer):
        readout, value_bias = _readout(trace, layer, towards)
        parts[layer] = ((z[layer].astype(np.float64) - value_bias) * readout).sum(axis=1)
    return parts


def mlp_parts(trace: Trace, mlp_out: np.ndarray, *, ln_scale: float, target: int, against: int | None) -> np.ndarray:
    """What each MLP adds to a logit without its bias, float64 [layer], of a run that is no trace, as `head_parts`.

    mlp_out: [layer d_model], what each writes at a token. Raises: WeightsMissing.
    """
    towards = reader(trace, target=target, against=against)[0] * ln_scale
    biases = np.stack([_weight(trace, f"h.{layer}.mlp.c_proj.bias") for layer in range(trace.config.n_layer)])
    parts: np.ndarray = (mlp_out.astype(np.float64) - biases) @ towards
    return parts


def _readout(trace: Trace, layer: int, towards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What of each head's output goes towards a direction, and its value bias: float64 [head d_head] each."""
    config = trace.config
    readout = (_weight(trace, f"h.{layer}.attn.c_proj.weight") @ towards).reshape(config.n_head, config.d_head)
    value_bias = _weight(trace, f"h.{layer}.attn.c_attn.bias")[-config.d_model :].reshape(readout.shape)
    return readout, value_bias


def _brought(trace: Trace, layer: int, pos: int) -> np.ndarray:
    """The values that each head brings to a token, averaged by its pattern (z): float64 [head d_head]."""
    pattern = looks_at(trace, layer, pos)[:, None, : pos + 1]  # [head 1 key]
    brought: np.ndarray = (pattern @ trace.read("v", layer)[:, : pos + 1].astype(np.float64))[:, 0]
    return brought


def _direction(trace: Trace, pos: int, *, target: int, against: int | None) -> tuple[np.ndarray, float]:
    """Where the stream must go for the logit to grow, at the run's own scale: float64 [d_model]; and what the final
    LayerNorm's bias adds.

    Centring the direction is centring the state: (x − mean x)·d = x·(d − mean d).
    """
    towards, final_bias = reader(trace, target=target, against=against)
    return towards * float(trace.read("ln_scale", -1)[pos]), final_bias


def reader(trace: Trace, *, target: int, against: int | None) -> tuple[np.ndarray, float]:
    """The direction for a spread of 1, which is the same at every token: float64 [d_model]; and the bias.

    Raises: WeightsMissing.
    """
    away = _mean_embedding(trace) if against is None else _row(trace, "wte.weight", against)
    difference = _row(trace, "wte.weight", target) - away
    towards = _weight(trace, "ln_f.weight") * difference
    return towards - towards.mean(), float(_weight(trace, "ln_f.bias") @ difference)


def _difference(trace: Trace, pos: int, *, target: int, against: int | None) -> float:
    logits = final_logits(trace, pos)
    other = logits.mean(dtype=np.float64) if against is None else logits[against]
    return float(logits[target]) - float(other)


def _mean_embedding(trace: Trace) -> np.ndarray:
    """The mean over all tokens' embeddings, float64 [d_model]."""
    total = np.zeros(trace.config.d_model)
    for _start, rows in trace.embedding_blocks():
        total += rows.sum(axis=0, dtype=np.float64)
    return total / trace.config.d_vocab


def _weight(trace: Trace, name: str) -> np.ndarray:
    """A small weight as the model computed with it, in float64."""
    return trace.weights.float32(name, dtype=trace.dtype).astype(np.float64)


def _row(trace: Trace, name: str, row: int) -> np.ndarray:
    return trace.weights.float32(name, dtype=trace.dtype)[row].astype(np.float64)
