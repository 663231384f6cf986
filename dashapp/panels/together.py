"""The panels of all heads taken together: mean patterns and rollout between all tokens, rollout and flow of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np

from dashapp.analysis.attention import Strongest, TokenAttention, strongest, token_attention
from dashapp.analysis.rollout import MOST_FLOW_TOKENS, rollout
from dashapp.analysis.stages import layer_mean, without_first
from dashapp.analysis.table import Table, token_names
from dashapp.figures.attention import SHADES, Scale, Shade, Square, attention_square, token_bars, weight
from dashapp.figures.theme import Frame
from dashapp.jobs.works import Work
from dashapp.panels.formulas import Formula
from dashapp.panels.head_pattern import FIRST, HIDDEN, First
from dashapp.panels.pair import named
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

Mix = Literal["layer", "all", "rollout"]
Method = Literal["rollout", "flow"]

AT_ONCE: Final = 128  # tokens of which all patterns are computed while a person waits: 30 ms in the 124M shape
N_BARS: Final = 20


def draw_square(
    trace: Trace,
    *,
    layer: int | None,
    mix: Mix,
    first: First,
    shade: Shade,
    frame: Frame,
    result: Mapping[str, np.ndarray] | None = None,
) -> Drawn:
    """Mean patterns or rollout between all tokens. result: of the rollout's work, where it takes long."""
    at = 0 if layer is None else layer
    found = None if mix == "layer" else rolled(trace, first, result)
    note = HIDDEN if first == "hidden" else ""
    if found is None:
        values = layer_mean(trace, at)
        shown = Square(
            values=values if first == "shown" else without_first(values), where=f"layer {at}, mean", note=note
        )
        said = f"The mean over the heads of layer {at}." + (" No layer is selected." if layer is None else "")
        if mix != "layer":
            said += " What you chose is being computed."
    elif mix == "all":
        values = found["mean"] if first == "shown" else without_first(found["mean"])
        shown = Square(values=values, where="all layers, mean", note=note)
        said = "The mean over all heads of all layers."
    else:
        where, said = "all layers, rollout", "attention rollout"
        shown = Square(values=found["rollout"], where=where, note=note, quantity=said, verb="draws from")
        said = "Rollout: how much of each input token (column) is in each position (row) after all layers."
    figure = attention_square(shown, texts=trace.token_texts, shade=shade, frame=frame)
    hidden = "The first token is left out, and rows made to sum to 1 again." if first == "hidden" else ""
    return Drawn(figure=figure, foot=" ".join(part for part in (said, "Rows sum to 1.", hidden) if part))


def square_work(trace: Trace, *, mix: Mix, first: First, **_others: Any) -> Work | None:
    """The rollout, where it takes long."""
    return None if mix == "layer" or trace.n_tokens <= AT_ONCE else _rollout_work(trace, first)


def draw_origins(
    trace: Trace,
    *,
    pos: int,
    method: Method,
    first: First,
    scale: Scale,
    frame: Frame,
    result: Mapping[str, np.ndarray] | None = None,
) -> Drawn:
    """What of the input may have reached one token. result: of the work below."""
    weights, said = origins(trace, pos, method, first, result)
    whole = np.zeros(trace.n_tokens)
    whole[: len(weights)] = weights
    found = TokenAttention(pos=pos, direction="looks_at", of=None, weights=whole)
    top = strongest(found, N_BARS)
    if method == "flow":
        top = Strongest(positions=top.positions, weights=top.weights, rest=0.0, n_rest=0)  # flows have no sum
    figure = token_bars(found, top, texts=trace.token_texts, scale=scale, frame=frame)
    is_flow = method == "flow" and result is not None and _fits(pos)
    figure.update_xaxes(title_text=f"{'flow' if is_flow else 'share'} in token {pos} after all layers")
    return Drawn(figure=figure, foot=said)


def origins_work(trace: Trace, *, pos: int, method: Method, first: First, **_others: Any) -> Work | None:
    """The flow of a token early enough; or the rollout of a long prompt."""
    if method == "flow" and _fits(pos):
        return Work(kind="flow", trace=trace.key, arguments={"pos": pos, "is_first_out": first == "hidden"})
    return None if trace.n_tokens <= AT_ONCE else _rollout_work(trace, first)


def origins(
    trace: Trace, pos: int, method: Method, first: First, result: Mapping[str, np.ndarray] | None
) -> tuple[np.ndarray, str]:
    """float [pos or more], and what it is."""
    this = named(trace, pos)
    if method == "flow" and result is not None and _fits(pos):
        largest = weight(float(result["flow"].max()))
        return result["flow"], (
            f"Maximum flow from each token to {this}, at most {largest}. Paths share edges, so flows do not sum to 1."
        )
    late = f"Flow takes long, so it is for the first {MOST_FLOW_TOKENS} tokens alone. " if not _fits(pos) else ""
    early = "Flow is being computed, which takes long. " if _fits(pos) else late
    lacking = early if method == "flow" else ""
    shares = None if "flow" in (result or {}) else rolled(trace, first, result)
    if shares is None:
        mean = token_attention(trace, pos, direction="looks_at", of=None).weights
        return mean, f"{lacking}Until rollout is there, this is the mean attention of {this} over all heads."
    said = f"{lacking}Rollout: the share of each token in {this} after all layers; shares sum to 1."
    return shares["rollout"][pos].astype(np.float64), said


def rolled(trace: Trace, first: First, result: Mapping[str, np.ndarray] | None) -> Mapping[str, np.ndarray] | None:
    """Rollout and mean patterns: at once for a short prompt, else what the work left."""
    return rollout(trace, is_first_out=first == "hidden") if trace.n_tokens <= AT_ONCE else result


def _rollout_work(trace: Trace, first: First) -> Work:
    return Work(kind="rollout", trace=trace.key, arguments={"is_first_out": first == "hidden"})


def _fits(pos: int) -> bool:
    return pos < MOST_FLOW_TOKENS


def numbers_of_square(
    trace: Trace, *, layer: int | None, mix: Mix, first: First, result: Mapping[str, np.ndarray] | None
) -> Table:
    """The mean patterns or the rollout, of every pair of tokens."""
    found = None if mix == "layer" else rolled(trace, first, result)
    if found is None:
        values, what = layer_mean(trace, layer or 0), f"mean attention of the heads of layer {layer or 0}"
    elif mix == "all":
        values, what = found["mean"], "mean attention of all heads"
    else:
        values, what = found["rollout"], "attention rollout"
    if first == "hidden" and mix != "rollout":
        values = without_first(values)
    names = token_names(trace.token_texts)
    return Table(what, values, {"query": names, "key": names})


def numbers_of_origins(
    trace: Trace, *, pos: int, method: Method, first: First, result: Mapping[str, np.ndarray] | None
) -> Table:
    """The share or flow of every token up to the selected one."""
    values, _said = origins(trace, pos, method, first, result)
    names = token_names(trace.token_texts)
    axes = {"token": names[: pos + 1]}
    return Table(f"{'flow to' if result and 'flow' in result else 'share in'} {names[pos]}", values[: pos + 1], axes)


_CAVEAT: Final = (
    "It does not show what was moved: values, LayerNorms and MLPs are ignored, and half of every layer is taken for "
    "the token itself. In GPT-2 the first token gets most of it, for heads rest on it: hide it to see the rest."
)

HEADS_TOGETHER = Panel(
    name="heads-together",
    title="Heads taken together",
    question="Where does attention go when heads and layers are taken together?",
    about=(
        "The mean over the heads of a layer, the mean over all heads of all layers, or rollout, which follows "
        "attention down through the layers; the other half of B is the residual stream, which carries each token on.",
        Formula("rollout"),
        "Source: Abnar & Zuidema 2020, Quantifying Attention Flow in Transformers.",
        _CAVEAT,
    ),
    reads=("layer",),
    marks="pattern",
    knobs=(
        Knob(
            name="mix",
            label="Show",
            options={"layer": "mean of the layer", "all": "mean of all layers", "rollout": "rollout"},
        ),
        FIRST,
        Knob(name="shade", label="Colour", options=SHADES),
    ),
    draw=draw_square,
    numbers=numbers_of_square,
    difference="",
    work=square_work,
)

TOKEN_ORIGINS = Panel(
    name="token-origins",
    title="Through all layers",
    question="Which input tokens may have reached the selected token through all layers of attention?",
    about=(
        "Rollout multiplies the layers’ mean patterns; flow takes them for pipes and asks how much fits through from "
        "one token to another at most. Flow is computed for one token at a time, to every earlier one; it takes from "
        f"seconds to a minute, and only for one of the first {MOST_FLOW_TOKENS} tokens.",
        Formula("rollout"),
        Formula("flow"),
        "Source: Abnar & Zuidema 2020, Quantifying Attention Flow in Transformers.",
        _CAVEAT,
    ),
    reads=("pos",),
    marks="bar",
    knobs=(
        Knob(name="method", label="By", options={"rollout": "rollout", "flow": "flow (slow)"}),
        FIRST,
        Knob(name="scale", label="Scale", options={"whole": "0 to 1", "fit": "fit the longest bar"}, start="fit"),
    ),
    draw=draw_origins,
    numbers=numbers_of_origins,
    difference="",
    work=origins_work,
)
