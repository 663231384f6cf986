"""The architecture as a diagram of one model: every box with its formula, shapes, parameters, and the panel that shows
it on the present prompt.

Plain HTML: boxes fold open in place, the residual stream is a line beside them, drawn by 20-model.css. The browser
writes the number of tokens of the prompt on screen into the shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from math import prod
from typing import Final

import dash_bootstrap_components as dbc
from dash import dcc, html

from dashapp import ids
from dashapp.model.config import GPT2Config
from dashapp.model.weights import tensor_shapes
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import aria

N: Final = "n"  # in a shape: as many as the prompt has tokens

Axis = int | str
Shape = tuple[Axis, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """An activation on its way through a box, by the name that a tap knows. shape: numbers, and N for the tokens."""

    name: str
    shape: Shape
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A step of the computation. weights: what its parameters' names begin with; of a layer's box, in each layer.

    shown: the pages and panels that show it on the present prompt.
    """

    name: str
    title: str
    what: str
    takes: Shape
    gives: Shape
    formulas: tuple[str, ...] = ()
    weights: str = ""
    instead: str = ""
    activations: tuple[Activation, ...] = ()
    note: str = ""
    shown: tuple[tuple[str, str, str], ...] = ()  # page, panel, what is seen there


def boxes(config: GPT2Config) -> dict[str, Box]:
    """The boxes of a model of this shape by name, in the order of the computation; those of a layer stand once."""
    return {box.name: box for box in (*_ends(config), *_layer(config))}


def weights_of(box: Box, config: GPT2Config, layer: int = 0) -> dict[str, tuple[int, ...]]:
    """The box's own parameters as the checkpoint names them → shape; of a layer's box, those of one layer."""
    begin = box.weights.format(layer=layer)
    if not begin:
        return {}
    return {name: shape for name, shape in tensor_shapes(config).items() if name.startswith(begin)}


def n_params(box: Box, config: GPT2Config) -> int:
    """How many numbers the box holds; of a layer's box, in one layer."""
    return sum(prod(shape) for shape in weights_of(box, config).values())


LAYER: Final = ("ln1", "attention", "ln2", "mlp")  # the boxes that each layer has


def layout(config: GPT2Config) -> html.Section:
    """The diagram of a model of this shape."""
    at = boxes(config)
    numbered = count()

    def draw(name: str) -> html.Details:
        return _box(at[name], config, numbered)

    return html.Section(
        [
            html.H2("Architecture", id="architecture-title"),
            html.P(
                "What does this model compute, step by step, and where are its parameters? Open a box.",
                className="question",
            ),
            _counted(),
            html.Ol(
                [
                    html.Li(draw("tokens"), className="step from"),
                    html.Li(
                        [
                            html.Div([draw("wte"), draw("wpe")], className="boxes"),
                            *_adds("token and position, added up: ", "resid_pre", numbered, config),
                        ],
                        className="step adds first",
                    ),
                    html.Li(_layers(config, draw, numbered), className="layers"),
                    html.Li(draw("ln_final"), className="step reads"),
                    html.Li(draw("unembedding"), className="step follows"),
                    html.Li(draw("softmax"), className="step follows"),
                ],
                className="flow",
            ),
            html.P(total(config), className="foot"),
        ],
        className="panel architecture",
        **aria(labelledby="architecture-title"),
    )


def total(config: GPT2Config) -> str:
    """The sum of all parameters, as a sentence."""
    at = boxes(config)
    once = [n_params(at[name], config) for name in ("wte", "wpe", "ln_final")]
    layer = sum(n_params(at[name], config) for name in LAYER)
    return (
        f"Parameters: {once[0]:,} (wte) + {once[1]:,} (wpe) + {config.n_layer} × {layer:,} (layers) "
        f"+ {once[2]:,} (ln_f) = {sum(once) + config.n_layer * layer:,}. The unembedding is wte again, counted once."
    )


# The boxes -----------------------------------------------------------------------------------------------------------


def _ends(config: GPT2Config) -> Iterator[Box]:
    """What comes before the layers and after them."""
    stream = (N, config.d_model)
    yield Box(
        name="tokens",
        title="Tokens",
        what="The prompt, cut into pieces that the vocabulary knows: a number each.",
        takes=(),
        gives=(N,),
        formulas=("next-token",),
        note=f"At most {config.n_ctx:,} tokens, of {config.d_vocab:,} that there are.",
        shown=(("/", "surprisal", "How surprising each token was"),),
    )
    yield Box(
        name="wte",
        title="Token embedding",
        what="A vector for each token, whatever stands around it.",
        takes=(N,),
        gives=stream,
        formulas=("embeddings",),
        weights="wte.",
        activations=(Activation(name="embed", shape=stream, what="its row for each token"),),
        shown=(("/embeddings", "vector-rows", "The vectors of this prompt"),),
    )
    yield Box(
        name="wpe",
        title="Positional embedding",
        what="A vector for each place in the prompt, whatever the token.",
        takes=(N,),
        gives=stream,
        formulas=("embeddings",),
        weights="wpe.",
        activations=(Activation(name="pos_embed", shape=stream, what="its row for each position"),),
        shown=(("/embeddings", "vector-map", "The vectors as a map"),),
    )
    yield Box(
        name="ln_final",
        title="Final LayerNorm",
        what="The stream after all layers, centred and scaled for the last time.",
        takes=stream,
        gives=stream,
        formulas=("layer-norm",),
        weights="ln_f.",
        activations=(
            Activation(name="ln_final_scale", shape=(N,), what="1/σ at each token"),
            Activation(name="ln_final", shape=stream, what="what the unembedding reads"),
        ),
        shown=(("/activations", "resid-norms", "How long the stream is before it"),),
    )
    yield Box(
        name="unembedding",
        title="Unembedding",
        what="A score for every token of the vocabulary: how well it would continue the text here.",
        takes=stream,
        gives=(N, config.d_vocab),
        formulas=("unembedding",),
        activations=(Activation(name="logits", shape=(N, config.d_vocab), what="one row for each token"),),
        instead="wte again",
        note="No parameters of its own: it multiplies by the token embedding, transposed (tied weights).",
        shown=(("/", "next-tokens", "The likeliest next tokens"),),
    )
    yield Box(
        name="softmax",
        title="Softmax: next-token probabilities",
        what="Scores become probabilities; one token is drawn, and the whole begins again with it.",
        takes=(N, config.d_vocab),
        gives=(N, config.d_vocab),
        formulas=("temperature",),
        shown=(("/", "next-tokens", "The likeliest next tokens"),),
    )


def _layer(config: GPT2Config) -> Iterator[Box]:
    """What each layer does, in its order."""
    stream, heads = (N, config.d_model), (config.n_head, N, config.d_head)
    for number, reader in ((1, "attention"), (2, "the MLP")):
        yield Box(
            name=f"ln{number}",
            title="LayerNorm",
            what=f"The stream as {reader} reads it: centred, and of the same spread at every token.",
            takes=stream,
            gives=stream,
            formulas=("layer-norm",),
            weights=f"h.{{layer}}.ln_{number}.",
            activations=(
                Activation(name=f"ln{number}_scale", shape=(N,), what="1/σ at each token"),
                Activation(name=f"ln{number}", shape=stream, what=f"what {reader} reads"),
            ),
            shown=(("/activations", "resid-norms", "How long the stream is before it"),),
        )
    yield Box(
        name="attention",
        title=f"Attention, {config.n_head} heads",
        what="Each token looks at itself and those before it, and takes over some of what they hold.",
        takes=stream,
        gives=stream,
        formulas=("attention", "multi-head"),
        weights="h.{layer}.attn.",
        activations=(
            Activation(name="q, k, v", shape=heads, what="query, key and value of each token"),
            Activation(name="pattern", shape=(config.n_head, N, N), what="query looks at key"),
            Activation(name="z", shape=heads, what="what each head brings"),
            Activation(name="attn_out", shape=stream, what="what is added to the stream"),
        ),
        shown=(
            ("/attention", "head-grid", "All heads on this prompt"),
            ("/attention", "head-pattern", "The selected head"),
            ("/attention", "token-attention", "What the selected token looks at"),
        ),
    )
    yield Box(
        name="mlp",
        title=f"MLP, {config.d_mlp:,} neurons",
        what="At each token by itself: neurons look for a pattern in the stream and write when they find it.",
        takes=stream,
        gives=stream,
        formulas=("mlp", "gelu-tanh"),
        weights="h.{layer}.mlp.",
        activations=(
            Activation(name="mlp_pre", shape=(N, config.d_mlp), what="neurons before GELU"),
            Activation(name="mlp_post", shape=(N, config.d_mlp), what="after GELU"),
            Activation(name="mlp_out", shape=stream, what="what is added to the stream"),
        ),
        shown=(
            ("/activations", "mlp-neurons", "The neurons on this prompt"),
            ("/activations", "gelu", "GELU with its real inputs"),
        ),
    )


# As components -------------------------------------------------------------------------------------------------------


def _counted() -> html.P:
    """What the first number of each shape is: said once, and the browser writes how many there are."""
    n = html.Span("n", id=ids.n_tokens("said"))
    return html.P(["The ", n, " in each shape is the number of tokens of the text on screen."], className="counted")


def _layers(config: GPT2Config, draw: Callable[[str], html.Details], numbered: Iterator[int]) -> list[html.P | html.Ol]:
    layer = sum(n_params(box, config) for name, box in boxes(config).items() if name in LAYER)
    last = config.n_layer - 1
    which = "1 layer" if config.n_layer == 1 else f"{config.n_layer} layers"
    return [
        html.P(
            [
                html.Strong(which),
                html.Span(f"0 to {last}, one after the other" if last else "", className="which"),
                _size(f"{layer:,} parameters each"),
            ],
            className="layers-title",
        ),
        html.Ol(
            [
                html.Li(
                    [
                        html.Div([draw(norm), draw(reader)], className="boxes one-after-the-other"),
                        *_adds("added to the residual stream: ", name, numbered, config),
                    ],
                    className="step reads adds",
                )
                for norm, reader, name in (("ln1", "attention", "resid_mid"), ("ln2", "mlp", "resid_post"))
            ],
            className="flow",
        ),
    ]


def _adds(said: str, name: str, numbered: Iterator[int], config: GPT2Config) -> list[html.Div | html.P]:
    """Where a step is added to the residual stream, and what the stream is called after that."""
    link = dcc.Link(name, href="/activations", id=ids.nav_link(_fragment("/activations", "resid-norms"), f"add-{name}"))
    return [
        html.Div("+", className="plus", **aria(hidden="true")),
        html.P(
            [html.Span(said, className="said"), link, " ", _shape((N, config.d_model), numbered)],
            className="stream-name",
        ),
    ]


def _box(box: Box, config: GPT2Config, numbered: Iterator[int]) -> html.Details:
    inward: list[str | html.Span] = [_shape(box.takes, numbered), " → "] if box.takes else []
    return html.Details(
        [
            html.Summary(
                [
                    html.Strong(box.title),
                    _size(_held(box, config)),
                    html.Span([*inward, _shape(box.gives, numbered)], className="shapes"),
                ]
            ),
            html.P(box.what),
            *(Formula(name).drawn() for name in box.formulas),
            *_weights_table(box, config),
            *_activations_table(box.activations, numbered),
            *([html.P(box.note, className="note")] if box.note else []),
            html.P(_links(box), className="shown"),
        ],
        className=f"box {box.name}",
    )


def _held(box: Box, config: GPT2Config) -> str:
    n = n_params(box, config)
    if not n:
        return box.instead
    return f"{n:,} parameters{' in each' if box.name in LAYER and config.n_layer > 1 else ''}"


def _size(text: str) -> html.Span:
    return html.Span(text, className="size")


def _shape(shape: Shape, numbered: Iterator[int]) -> html.Span:
    """'13 × 256', where the browser writes the 13."""
    parts: list[str | html.Span] = []
    for axis in shape:
        parts += [" × "] if parts else []
        parts.append(html.Span("n", id=ids.n_tokens(next(numbered))) if axis == N else f"{axis:,}")
    return html.Span(parts, className="shape")


def _weights_table(box: Box, config: GPT2Config) -> list[dbc.Table]:
    rows = [
        (name.removeprefix("h.0."), " × ".join(f"{n:,}" for n in shape), f"{prod(shape):,}")
        for name, shape in weights_of(box, config).items()
    ]
    return _table("Parameters", rows)


def _activations_table(activations: Sequence[Activation], numbered: Iterator[int]) -> list[dbc.Table]:
    return _table("Activations", [(each.name, _shape(each.shape, numbered), each.what) for each in activations])


def _table(caption: str, rows: Sequence[tuple[str, str | html.Span, str]]) -> list[dbc.Table]:
    if not rows:
        return []
    body = [html.Tr([html.Th(name, scope="row"), html.Td(shape), html.Td(what)]) for name, shape, what in rows]
    return [dbc.Table([html.Caption(caption), html.Tbody(body)], borderless=True, size="sm", class_name="fact-table")]


def _links(box: Box) -> list[str | dcc.Link]:
    links: list[str | dcc.Link] = []
    for page, panel, seen in box.shown:
        links += [" · "] if links else []
        links.append(dcc.Link(seen, href=page, id=ids.nav_link(_fragment(page, panel), f"box-{box.name}")))
    return links


def _fragment(page: str, panel: str) -> str:
    return f"{page}#{ids.title(panel, 'a')}"
