"""The panels of one head at one pair of tokens: why it looks there, and what it would write if it looked only there."""

from __future__ import annotations

from typing import Literal

import numpy as np

from dashapp.analysis.logit_lens import favourite
from dashapp.analysis.pairs import Match, match, writes
from dashapp.analysis.table import Table, columns, counted, token_names
from dashapp.figures.attention import weight
from dashapp.figures.attribution import signed
from dashapp.figures.pairs import match_bars, write_bars
from dashapp.figures.theme import Frame
from dashapp.figures.tokens import label, plain_label
from dashapp.model.tokenizer import token_text
from dashapp.panels.formulas import Formula
from dashapp.panels.pair import Pair, chosen_pair, named
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

Order = Literal["size", "dimension"]

N_NAMED = 4
N_TOKENS = 10


def draw_match(
    trace: Trace, *, pos: int, key_pos: int | None, layer: int | None, head: int | None, order: Order, frame: Frame
) -> Drawn:
    """The product of query and key, dimension by dimension."""
    pair = chosen_pair(trace, pos, key_pos, layer, head)
    found = match(trace, pair.of, pair.pos, pair.key)
    by_size = np.argsort(-np.abs(found.products), kind="stable")
    names = tuple(f"token {each} ‘{label(trace.token_texts[each])}’" for each in (pair.pos, pair.key))
    figure = match_bars(
        found,
        order=by_size if order == "size" else np.arange(len(by_size)),
        names=(names[0], names[1]),
        frame=frame,
    )
    largest = ", ".join(f"{int(i)} ({signed(float(found.products[i]))})" for i in by_size[:N_NAMED])
    parts = [pair.said, _score(trace, pair, found), f"Largest dimensions: {largest}."]
    return Drawn(figure=figure, foot=" ".join(part for part in parts if part))


def draw_writes(
    trace: Trace,
    *,
    pos: int,
    key_pos: int | None,
    layer: int | None,
    head: int | None,
    target: int | None,
    against: int | None,
    frame: Frame,
) -> Drawn:
    """The tokens that the head would promote and suppress, and what it does to the target. Raises: WeightsMissing."""
    pair = chosen_pair(trace, pos, key_pos, layer, head)
    of_target = favourite(trace, pos) if target is None else target
    found = writes(trace, pair.of, pair.pos, pair.key, target=of_target, against=against, n=N_TOKENS)
    texts = [[token_text(int(token)) for token in ids] for ids in (found.promoted, found.suppressed)]
    figure = write_bars(found, texts=(texts[0], texts[1]), frame=frame)
    share = 0.0 if pair.key > pair.pos else match(trace, pair.of, pair.pos, pair.key).weight
    over = "the mean of all tokens" if against is None else f"‘{plain_label(token_text(against))}’"
    whose = "the output’s favourite" if target is None else "the target you chose"
    effect = (
        f"Direct effect on ‘{plain_label(token_text(of_target))}’ ({whose}) over {over}: {signed(found.target)} nats "
        f"if it looked only at {named(trace, pair.key)}; it looks there with {weight(share)}, which makes "
        f"{signed(found.target * share)} nats. Over all tokens such parts sum to the head’s direct logit attribution."
    )
    length = f"The vector it would write is {found.norm:.3g} long."
    return Drawn(figure=figure, foot=" ".join(part for part in (pair.said, effect, length) if part))


def _score(trace: Trace, pair: Pair, found: Match) -> str:
    said = (
        f"{named(trace, pair.pos)} and {named(trace, pair.key)}: the dimensions sum to a score of {signed(found.score)}"
    )
    said = said[0].upper() + said[1:]
    if pair.key > pair.pos:
        return f"{said}, which is masked: the second token comes later."
    return f"{said}, and the softmax of the row makes that a weight of {weight(found.weight)}."


def numbers_of_match(trace: Trace, *, pos: int, key_pos: int | None, layer: int | None, head: int | None) -> Table:
    """Query, key and their product in every dimension of the head, in order."""
    pair = chosen_pair(trace, pos, key_pos, layer, head)
    found, names = match(trace, pair.of, pair.pos, pair.key), token_names(trace.token_texts)
    measures = {"query": found.query, "key": found.key, "product": found.products}
    about = f"{names[pair.pos]} and {names[pair.key]} in layer {pair.of.layer} head {pair.of.head}"
    return columns(about, "dimension", counted(len(found.products)), measures)


def numbers_of_writes(
    trace: Trace,
    *,
    pos: int,
    key_pos: int | None,
    layer: int | None,
    head: int | None,
    target: int | None,
    against: int | None,
) -> Table:
    """What the head would add to the tokens that it promotes and suppresses most. Raises: WeightsMissing."""
    pair = chosen_pair(trace, pos, key_pos, layer, head)
    of_target = favourite(trace, pos) if target is None else target
    found = writes(trace, pair.of, pair.pos, pair.key, target=of_target, against=against, n=N_TOKENS)
    ids = np.concatenate([found.promoted, found.suppressed[::-1]])
    values = np.concatenate([found.promoted_by, found.suppressed_by[::-1]])
    written = f"layer {pair.of.layer} head {pair.of.head} for {token_names(trace.token_texts)[pair.key]}"
    names = token_names([token_text(int(token)) for token in ids], numbers=ids)
    return Table(f"written by {written} (nats over the mean of all tokens)", values, {"token": names})


PAIR_MATCH = Panel(
    name="pair-match",
    title="Why it looks there",
    question="Which dimensions of query and key make this head look from one token to the other?",
    about=(
        "The score of a pair is a sum over the dimensions of the head: each bar is a product of the query’s and the "
        "key’s number, over √d_head. Below are the two vectors, biases included, as the model computed them.",
        Formula("match"),
        "A weight is not its score: the softmax compares it with those of all other tokens of the row.",
        "Source: Vaswani et al. 2017, equation 1; as a bilinear form in Elhage et al. 2021.",
        "It does not show what a dimension means: the head’s basis is arbitrary, and turning queries and keys together "
        "changes every bar and no score.",
    ),
    reads=("pos", "key_pos", "layer", "head"),
    knobs=(Knob(name="order", label="Dimensions", options={"size": "largest first", "dimension": "in order"}),),
    draw=draw_match,
    numbers=numbers_of_match,
)

PAIR_WRITES = Panel(
    name="pair-writes",
    title="What it would write",
    question="If this head looked only at the second token, which next tokens would it promote and suppress?",
    about=(
        "The value of the token looked at goes through W_O into the residual stream; the final LayerNorm, with the "
        "spread of the run, and the unembedding turn it into logits. Shown over the mean of all tokens, for a number "
        "that is added to all of them changes nothing.",
        Formula("ov"),
        "The value bias is left out, for a head brings it wherever it looks; so the weights of a row times these "
        "effects sum to the head’s direct logit attribution.",
        "Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits (OV circuit).",
        "It does not show what later layers make of it, which may be all that matters: an early head writes for them.",
    ),
    reads=("pos", "key_pos", "layer", "head", "target", "against"),
    draw=draw_writes,
    numbers=numbers_of_writes,
)
