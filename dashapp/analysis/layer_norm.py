"""What each LayerNorm read, and what it made of it: mean and 1/σ at every norm and token, and one vector step by step.

Norm n reads point n of the residual stream: 2·layer the one before attention, 2·layer + 1 the one before the MLP, the
last one the state that is unembedded. Reads one trace, and of the weights one norm's gain and bias; runs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dashapp.traces.record import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class NormStatistics:
    """What every LayerNorm takes off the stream, float32 [norm pos] each.

    means: μ of the d_model components, which is taken away. scales: 1/σ, by which the rest is multiplied, with the ε
    that LayerNorm adds to the variance.
    """

    means: np.ndarray
    scales: np.ndarray


def norm_statistics(trace: Trace) -> NormStatistics:
    """Mean and 1/σ at each of the 2·n_layer + 1 norms. 1/σ is the model's own, the mean is that of the stored stream.

    Source: Ba, Kiros & Hinton 2016, Layer Normalization, equation 3.
    """
    norms = range(2 * trace.config.n_layer + 1)
    means = np.stack([trace.read("resid", norm).mean(axis=-1, dtype=np.float64) for norm in norms])
    return NormStatistics(
        means=means.astype(np.float32), scales=np.stack([trace.read("ln_scale", norm) for norm in norms])
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Normed:
    """A token's vector on its way through one LayerNorm: float64 [d_model] each.

    before: the stream. normed: (before − mean) · scale. gain, bias: the norm's weight γ and bias β. after: γ · normed
    + β, what attention, MLP or unembedding read.
    """

    norm: int
    pos: int
    mean: float
    scale: float
    before: np.ndarray
    normed: np.ndarray
    gain: np.ndarray
    bias: np.ndarray
    after: np.ndarray


def normed_vector(trace: Trace, norm: int, pos: int) -> Normed:
    """One token's vector before a norm, normalised, and after weight and bias. Raises: WeightsMissing."""
    layer, which = divmod(norm, 2)
    name = "ln_f" if norm == 2 * trace.config.n_layer else f"h.{layer}.ln_{which + 1}"
    gain, bias = (trace.weights.float32(f"{name}.{part}", dtype=trace.dtype) for part in ("weight", "bias"))
    before = trace.read("resid", norm)[pos].astype(np.float64)
    scale = float(trace.read("ln_scale", norm)[pos])
    normed = (before - before.mean()) * scale
    return Normed(
        norm=norm,
        pos=pos,
        mean=float(before.mean()),
        scale=scale,
        before=before,
        normed=normed,
        gain=gain.astype(np.float64),
        bias=bias.astype(np.float64),
        after=gain.astype(np.float64) * normed + bias.astype(np.float64),
    )
