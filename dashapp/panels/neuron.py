"""The panels of neurons: one by itself, all by what they add to a logit, and how few of a layer are at work."""

from __future__ import annotations

from typing import Final

from dashapp.analysis.neurons import NeuronParts, neuron_at_work, neuron_parts, sparsity
from dashapp.analysis.table import Table, columns, counted, token_names
from dashapp.figures.neurons import neuron_figure, sparsity_bars, strongest_bars
from dashapp.figures.numbers import percent
from dashapp.figures.theme import Frame
from dashapp.figures.tokens import label, plain_label
from dashapp.model.tokenizer import token_text
from dashapp.panels.attribution import OVER, Over, chosen_pair, difference_words
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

N_SHOWN: Final = 20
N_WORDS: Final = 10


def draw_neuron(
    trace: Trace,
    *,
    pos: int,
    layer: int | None,
    neuron: int | None,
    target: int | None,
    against: int | None,
    over: Over,
    frame: Frame,
) -> Drawn:
    """The selected neuron; without one, that which adds most to the logit at the selected token."""
    of, other = chosen_pair(trace, pos, target, against, over)
    place = neuron_shown(trace, pos, layer, neuron, target=of, against=other)
    said = f"Layer {layer}, neuron {neuron}."
    if layer is None or neuron is None:
        said = (
            f"No neuron is selected: this is layer {place[0]}, neuron {place[1]}, which adds most to the logit at the "
            "selected token. Click another, or write its number above."
        )
    shown = neuron_at_work(trace, *place, target=of, against=other, n_shown=N_WORDS)
    names = {int(token): token_text(int(token)) for token in (*shown.promoted, *shown.suppressed)}
    figure = neuron_figure(shown, texts=trace.token_texts, names=names, frame=frame)
    strongest = int(abs(shown.post).argmax())
    fires = f"token {strongest} ‘{plain_label(trace.token_texts[strongest])}’, {shown.post[strongest]:.3g}"
    foot = (
        f"{said} At token {pos} ‘{plain_label(trace.token_texts[pos])}’ it is {shown.pre[pos]:.3g} before GELU and "
        f"{shown.post[pos]:.3g} after, and adds {shown.added[pos]:+.3g} nats to {difference_words(of, other)}. It is "
        f"strongest at {fires}. Its row of W_out has the length {shown.output_norm:.3g}. Where its activation is below "
        "0, it does the opposite of what the bars say."
    )
    return Drawn(figure=figure, foot=foot.replace(" -", " −"))


def neuron_shown(
    trace: Trace, pos: int, layer: int | None, neuron: int | None, *, target: int, against: int | None
) -> tuple[int, int]:
    """Layer and number of the selected neuron; without one, of that which adds most to the logit at the token."""
    if layer is not None and neuron is not None:
        return layer, neuron
    return neuron_parts(trace, pos, target=target, against=against).strongest(1)[0]


def draw_strongest(
    trace: Trace, *, pos: int, target: int | None, against: int | None, over: Over, frame: Frame
) -> Drawn:
    """The neurons that add most to a logit at the selected token."""
    of, other = chosen_pair(trace, pos, target, against, over)
    found = neuron_parts(trace, pos, target=of, against=other)
    words = difference_words(of, other)
    figure = strongest_bars(found, n_shown=N_SHOWN, over=label(words, longest=80), frame=frame)
    return Drawn(figure=figure, foot=_said(found, words, trace))


def _said(found: NeuronParts, words: str, trace: Trace) -> str:
    shown = found.strongest(N_SHOWN)
    held = sum(found.added[place] for place in shown)
    n_left_out = found.added.size - len(shown)
    after = f"after token {found.pos} ‘{plain_label(trace.token_texts[found.pos])}’"
    gap = f"{found.gap:.1e}".replace("e-", "e−")
    text = (
        f"{words}, {after}: these {len(shown)} neurons add {held:+.3g} nats, the other {n_left_out:,} "
        f"{found.added.sum() - held:+.3g}. The neurons of a layer sum to what its MLP wrote, to {gap} at worst."
    )
    return text.replace(" -", " −")


def draw_sparsity(trace: Trace, *, frame: Frame) -> Drawn:
    """Two bars a layer."""
    found = sparsity(trace)
    first = "Position 0, which behaves differently, is left out of the means. " if found.without_first else ""
    least, most = (
        f"{percent(float(found.active[layer]))} (layer {layer})"
        for layer in (int(found.active.argmin()), int(found.active.argmax()))
    )
    foot = (
        f"{first}Of the {trace.config.d_mlp:,} neurons of a layer, between {least} and {most} are above 0 at a token."
    )
    return Drawn(figure=sparsity_bars(found, frame), foot=foot)


def numbers_of_neuron(
    trace: Trace,
    *,
    pos: int,
    layer: int | None,
    neuron: int | None,
    target: int | None,
    against: int | None,
    over: Over,
) -> Table:
    """One neuron at every token. Raises: WeightsMissing."""
    of, other = chosen_pair(trace, pos, target, against, over)
    place = neuron_shown(trace, pos, layer, neuron, target=of, against=other)
    shown = neuron_at_work(trace, *place, target=of, against=other, n_shown=N_WORDS)
    added = f"adds to the logit of {difference_words(of, other)} (nats)"
    measures = {"before GELU": shown.pre, "after GELU": shown.post, added: shown.added}
    about = f"layer {place[0]} neuron {place[1]}"
    return columns(about, "token", token_names(trace.token_texts), measures)


def numbers_of_strongest(trace: Trace, *, pos: int, target: int | None, against: int | None, over: Over) -> Table:
    """What every neuron adds to the logit, not only the strongest. Raises: WeightsMissing."""
    of, other = chosen_pair(trace, pos, target, against, over)
    added = neuron_parts(trace, pos, target=of, against=other).added
    axes = {"layer": counted(len(added)), "neuron": counted(added.shape[1])}
    return Table(f"adds to the logit of {difference_words(of, other)} (nats)", added, axes)


def numbers_of_sparsity(trace: Trace) -> Table:
    """Two numbers a layer."""
    found = sparsity(trace)
    measures = {"share above 0 before GELU": found.active, "participation ratio as a share": found.few}
    return columns("neurons at work", "layer", counted(len(found.active)), measures)


_OVER: Final = Knob(name="over", label="Compared with", options=OVER)
_SOURCE: Final = "Source: Geva et al. 2021, Transformer Feed-Forward Layers Are Key-Value Memories; Elhage et al. 2021."

NEURON = Panel(
    name="neuron",
    title="One neuron",
    question="When does the selected neuron fire, and which tokens does it write for?",
    about=(
        "Left: the neuron at every token of the text, on the GELU curve. Right: the tokens whose logits it raises and "
        "lowers most. It adds its activation times its row of W_out to the stream; the row, centred and times the gain "
        "of the final norm, meets the embedding of every token. The mean over all tokens is 0.",
        Formula("mlp"),
        Formula("attribution"),
        _SOURCE,
        "It does not show what the neuron does through later layers, nor when it fires in other texts.",
    ),
    reads=("pos", "layer", "neuron", "target", "against"),
    marks="point",
    knobs=(_OVER,),
    draw=draw_neuron,
    numbers=numbers_of_neuron,
    difference="after GELU",
)

NEURON_ATTRIBUTION = Panel(
    name="neuron-attribution",
    title="Direct logit attribution of neurons",
    question="Which neurons of all layers write for the next token, and which against it? Click one.",
    about=(
        "A neuron adds its activation times its row of W_out to the stream, and with the final norm's spread kept as "
        "it was that adds a number to the logit. All neurons are weighed; the strongest are drawn.",
        Formula("attribution"),
        Formula("mlp"),
        _SOURCE,
        "It does not show what a neuron does through later layers.",
    ),
    reads=("pos", "target", "against"),
    marks="neuron",
    knobs=(_OVER,),
    draw=draw_strongest,
    numbers=numbers_of_strongest,
    difference="",
)

MLP_SPARSITY = Panel(
    name="mlp-sparsity",
    title="How few neurons are at work",
    question="How sparse are the activations of each layer over this text?",
    about=(
        "Above 0: GELU lets a neuron through when its pre-activation is positive; the share of neurons for which it "
        "is, at a token, as a mean over tokens.",
        "Effective number: how many neurons would hold as much if all held the same, the participation ratio of "
        "squared activations, (Σ a²)² / Σ a⁴, as a share of the layer.",
        Formula("mlp"),
        "Source: Bell & Dean 1970, Atomic vibrations in vitreous silica (the participation ratio).",
        "It does not show which neurons these are, nor what they write: a weak one may have a long row.",
    ),
    draw=draw_sparsity,
    numbers=numbers_of_sparsity,
    difference="share above 0 before GELU",
)
