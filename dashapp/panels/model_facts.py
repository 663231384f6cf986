"""What is loaded, in tables: sizes, options, parameters, fingerprint, dtype, device, files."""

from __future__ import annotations

import dash_bootstrap_components as dbc
from dash import html

from dashapp.errors import in_megabytes
from dashapp.model.config import GPT2Config
from dashapp.model.registry import DEMO_FOLDER, HUB_MODELS, info_of
from dashapp.model.weights import Weights
from dashapp.panels.panel import aria
from dashapp.panels.source import Source

Row = tuple[str, str, str]  # what, value, what it means


def layout(source: Source, weights: Weights) -> html.Section:
    """Which weights these are, their sizes and options, and where the parameters are."""
    return html.Section(
        [
            html.H2("What is loaded", id="facts-title"),
            _table("Which weights", identity_rows(source, weights)),
            _table("Sizes", size_rows(weights.config)),
            _table("Where the parameters are", parameter_rows(weights)),
            _table("Options", option_rows(weights.config)),
        ],
        className="panel facts",
        **aria(labelledby="facts-title"),
    )


def identity_rows(source: Source, weights: Weights) -> list[Row]:
    """Who a model is, and how it is computed."""
    device = "the GPU of this machine where torch can use it, else cpu" if source.device == "auto" else "where jobs run"
    return [
        ("Name", weights.name, where_from(weights)),
        ("Fingerprint", weights.fingerprint[:16], "the first 16 of 64 digits of a hash of all weights"),
        ("Parameters", f"{weights.config.n_params:,}", "the unembedding is the token embedding, counted once"),
        ("Files", in_megabytes(info_of(weights).size_bytes), f"of {weights.stored_dtype} numbers, mapped into memory"),
        ("Computes in", source.dtype, "numbers of the forward pass"),
        ("Computes on", source.device, device),
    ]


def where_from(weights: Weights) -> str:
    """Where the files of a model come from, in words."""
    if weights.folder == DEMO_FOLDER:
        return "comes with the app"
    if weights.name in HUB_MODELS:
        return f"fetched from the Hugging Face hub, {HUB_MODELS[weights.name].repo}"
    return f"from the folder {weights.folder.name}"


def option_rows(config: GPT2Config) -> list[Row]:
    """What config.json may change besides sizes."""
    scale = "1/√d_head" if config.scale_attn_weights else "1"
    scale += "/(layer + 1)" if config.scale_attn_by_inverse_layer_idx else ""
    upcast = "float32" if config.reorder_and_upcast_attn else "as the rest"
    return [
        ("Factor on q·k", scale, "scale_attn_weights, scale_attn_by_inverse_layer_idx"),
        ("Attention in", upcast, "reorder_and_upcast_attn"),
        ("layer_norm_epsilon", f"{config.layer_norm_epsilon:g}", "added to the variance in every LayerNorm"),
        ("Activation", "GELU (tanh)", "activation_function; no other is accepted"),
        ("Unembedding", "tied", "tie_word_embeddings"),
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
