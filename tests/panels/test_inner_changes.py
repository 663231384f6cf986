"""The panels of what differs inside two runs: their cells are the analyses' numbers, and the foot tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import dashapp
from dashapp.analysis.alignment import align
from dashapp.analysis.changes import aligned_pairs
from dashapp.analysis.inner_changes import attention_change, neuron_change, stream_change
from dashapp.errors import OtherSizes
from dashapp.figures.theme import Frame
from dashapp.panels.inner_changes import draw_heads, draw_neurons, draw_stream, other_weights
from dashapp.traces.record import Trace
from tests.doubles import TINY_TEXT, tiny_model

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2

FRAME = Frame(theme="light")


@pytest.fixture(scope="module")
def pair(text_model: GPT2) -> tuple[Trace, Trace]:
    a, b = (dashapp.trace(text_model, prompt, cache=False) for prompt in ("a b x y d e", "a b c d e"))
    return a, b


@pytest.fixture(scope="module")
def pairs(pair: tuple[Trace, Trace]) -> np.ndarray:
    return aligned_pairs(align(pair[0].token_ids, pair[1].token_ids))


def test_a_cell_of_heads_is_the_divergence_of_rows(pair: tuple[Trace, Trace], pairs: np.ndarray) -> None:
    a, b = pair
    found = attention_change(a, b, pairs)
    shown = draw_heads(a, other=b, pos=None, other_pos=None, over="all", reach="fit", frame=FRAME)
    np.testing.assert_array_equal(shown.figure.data[0].z, found.js_bits)
    assert shown.foot.startswith("Mean over 5 aligned tokens, without the first.")
    layer, head = np.unravel_index(found.js_bits.argmax(), found.js_bits.shape)
    assert f"Layer {layer}, head {head} changed most: {found.js_bits.max():.3g} bits." in shown.foot
    assert "Weights on tokens without a counterpart are left out: " in shown.foot
    one = draw_heads(
        a, other=b, pos=6, other_pos=5, over="token", reach="whole", frame=Frame(theme="dark", units="nats")
    )
    rows = attention_change(a, b, pairs, at=(6, 5)).js_bits
    np.testing.assert_allclose(one.figure.data[0].z, rows * np.log(2))
    assert one.figure.data[0].zmax == pytest.approx(np.log(2))
    assert one.foot.startswith("Rows of token 6 ‘·e’ of a and token 5 ‘·e’ of b.")


def test_a_cell_of_the_stream_is_a_distance_or_a_cosine(pair: tuple[Trace, Trace], pairs: np.ndarray) -> None:
    a, b = pair
    found = stream_change(a, b, pairs, at="post")
    shown = draw_stream(a, other=b, at="post", measure="distance", frame=FRAME)
    cells = np.array(shown.figure.data[0].z)
    np.testing.assert_array_equal(cells[:, pairs[0]], found.distances)
    assert np.isnan(cells[:, 4]).all()  # y has no counterpart …
    assert set(shown.figure.data[1].x) == {4}  # … and is crossed out
    assert shown.figure.layout.meta["cells"] == [3, 7]
    assert "They are equal before token 3 ‘·x’." in shown.foot
    assert "Left out, for want of a counterpart: 1 of a; those of a are marked ×." in shown.foot
    cosines = draw_stream(a, other=b, at="post", measure="cosine", frame=FRAME).figure.data[0]
    np.testing.assert_array_equal(np.array(cosines.z)[:, pairs[0]], found.cosines)
    assert cosines.zmax == 1
    assert cosines.colorscale[-1][1] == FRAME.amount_scale[0][1]  # alike is the paper's colour


def test_a_bar_is_by_how_much_further_a_neuron_goes_in_a(pair: tuple[Trace, Trace]) -> None:
    a, b = pair
    found = neuron_change(a, 6, b, 5, n=20)
    shown = draw_neurons(a, other=b, pos=6, other_pos=5, frame=FRAME)
    bars = shown.figure.data[0]
    np.testing.assert_array_equal(bars.x, found.moved)
    assert [tuple(place) for place in bars.customdata] == [tuple(place) for place in found.places]
    assert "in a, " in bars.hovertext[0]
    assert f"The strongest of 13 others differs by {found.left_out:.3g}." in shown.foot


def test_a_run_against_itself_differs_nowhere(pair: tuple[Trace, Trace]) -> None:
    a = pair[0]
    heads = draw_heads(a, other=a, pos=None, other_pos=None, over="all", reach="fit", frame=FRAME)
    assert "No head looks differently." in heads.foot
    assert "The streams are equal everywhere." in draw_stream(a, other=a, at="mid", measure="cosine", frame=FRAME).foot
    assert "No neuron differs." in draw_neurons(a, other=a, pos=2, other_pos=2, frame=FRAME).foot


def test_other_weights_of_one_size_are_compared_with_a_warning_and_other_sizes_are_not(
    pair: tuple[Trace, Trace],
) -> None:
    a = pair[0]
    other = dashapp.trace(tiny_model(TINY_TEXT, seed=1), "a b c d e", cache=False)
    assert other_weights(a, pair[1]) == ""
    assert draw_stream(a, other=other, at="pre", measure="distance", frame=FRAME).foot.endswith(
        "so a part of one need not do what the same part of the other does."
    )
    deep = dashapp.trace(
        tiny_model(type(TINY_TEXT)(n_layer=4, n_head=2, d_model=10, d_mlp=11, n_ctx=13)), "a b c", cache=False
    )
    with pytest.raises(OtherSizes, match="of a has 3 and that of b 4"):
        draw_heads(a, other=deep, pos=None, other_pos=None, over="all", reach="fit", frame=FRAME)
