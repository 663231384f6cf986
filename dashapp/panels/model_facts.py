"""The table of what is loaded: sizes, parameters, fingerprint, dtype, device."""

from __future__ import annotations

from typing import Final

import dash_bootstrap_components as dbc
from dash import html

from dashapp.errors import in_megabytes
from dashapp.model.config import GPT2Config
from dashapp.model.weights import Weights
from dashapp.panels.source import Source

Row = tuple[str, str, str]  # what, value, what it means

DEMO: Final = (
    "This is the small model that comes with the app, so that everything works without a network. Its text is simple. "
    "To look inside GPT-2 itself, start the app with: make run MODEL=gpt2"
)


def layout(source: Source) -> html.Div:
    """Three tables: which weights, their sizes, where the parameters are."""
    weights = source.weights
    return html.Div(
        [
            *([html.P(DEMO, className="note")] if weights.name == "demo" else []),
            _table("Which weights", identity_rows(source)),
            _table("Sizes", size_rows(weights.config)),
            _table("Where the parameters are", parameter_rows(weights)),
        ],
        className="facts",
    )


def identity_rows(source: Source) -> list[Row]:
    """Who the loaded model is."""
    weights = source.weights
    n_bytes = sum(weights[name].nbytes for name in weights)
    where = "the first of cuda, mps, cpu that there is" if source.device == "auto" else "where jobs run"
    return [
        ("Name", weights.name, "as in DASHAPP_MODEL"),
        ("Fingerprint", weights.fingerprint[:16], "the first 16 of 64 digits of a hash of all weights"),
        ("Parameters", f"{weights.config.n_params:,}", "the unembedding is the token embedding, counted once"),
        ("Stored as", f"{weights.stored_dtype}, {in_megabytes(n_bytes)}", "on disk, mapped into memory"),
        ("Computes in", source.dtype, "numbers of the forward pass"),
        ("Computes on", source.device, where),
    ]


def size_rows(config: GPT2Config) -> list[Row]:
    """The configuration, in the words of config.json and of the app."""
    return [
        ("n_layer", f"{config.n_layer}", "blocks, each attention and then an MLP"),
        ("n_head", f"{config.n_head}", "attention heads in each block"),
        ("d_model", f"{config.d_model:,}", "width of the residual stream"),
        ("d_head", f"{config.d_head}", "width of a head: d_model / n_head"),
        ("d_mlp", f"{config.d_mlp:,}", "neurons in each MLP"),
        ("n_ctx", f"{config.n_ctx:,}", "longest prompt in tokens"),
        ("d_vocab", f"{config.d_vocab:,}", "tokens it knows"),
        ("layer_norm_epsilon", f"{config.layer_norm_epsilon:g}", "added to the variance in every LayerNorm"),
    ]


def parameter_rows(weights: Weights) -> list[Row]:
    """How many parameters each kind of part holds; the rows add up to all of them."""
    kinds = {
        "Token embedding": "wte",
        "Positional embedding": "wpe",
        "Attention": ".attn.",
        "MLP": ".mlp.",
        "LayerNorm": "ln_",
    }
    counts = dict.fromkeys(kinds, 0)
    for name in weights:
        kind = next(kind for kind, mark in kinds.items() if mark in name)
        counts[kind] += weights[name].size
    total = sum(counts.values())
    return [(kind, f"{count:,}", f"{100 * count / total:.3g}% of all") for kind, count in counts.items()]


def _table(caption: str, rows: list[Row]) -> dbc.Table:
    body = [html.Tr([html.Th(what, scope="row"), html.Td(value), html.Td(meaning)]) for what, value, meaning in rows]
    return dbc.Table([html.Caption(caption), html.Tbody(body)], borderless=True, size="sm", class_name="fact-table")
