from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dashapp.analysis.vocabulary import nearest_tokens, sum_of_tokens, vector_of
from dashapp.errors import NotOneToken
from dashapp.figures.theme import Frame
from dashapp.model.gpt2 import GPT2
from dashapp.model.tokenizer import encode, token_text
from dashapp.panels import nearest_tokens as panel
from dashapp.panels.nearest_tokens import N_SHOWN, NEAREST_TOKENS
from dashapp.panels.panel import Drawn
from dashapp.traces.record import Trace
from tests.panels.test_embeddings import traced

LIGHT = Frame(theme="light")


@pytest.fixture(scope="module")
def seven(text_model: GPT2) -> Trace:
    return traced(text_model, 7)


def drawn(trace: Trace, **chosen: Any) -> Drawn:
    knobs: dict[str, Any] = {knob.name: knob.default for knob in NEAREST_TOKENS.knobs}
    return panel.draw(trace, **{"pos": 3, "layer": None, "frame": LIGHT, **knobs, **chosen})


@pytest.mark.parametrize("centre", ["raw", "mean"])
def test_bars_are_the_nearest_tokens_of_the_selected_tokens_vector(seven: Trace, centre: str) -> None:
    centred = centre == "mean"
    bars = drawn(seven, of="out", layer=1, centre=centre).figure.data[0]
    expected = nearest_tokens(seven, vector_of(seven, 3, 4, centred=centred), N_SHOWN, centred=centred)
    np.testing.assert_array_equal(bars.customdata, expected.ids)
    np.testing.assert_array_equal(bars.x, expected.cosines)


def test_the_token_itself_leads_and_the_foot_names_the_next(seven: Trace) -> None:
    shown = drawn(seven)
    own, other = shown.figure.data[0].customdata[:2]
    assert own == seven.token_ids[3]
    assert f"Apart from the token itself, the nearest is ‘{token_text(other)}’." in shown.foot.replace("·", " ")
    assert "the mean cosine with all 50,257 tokens is" in shown.foot


def test_a_sum_is_of_the_tokens_typed_whatever_is_selected(seven: Trace) -> None:
    shown = drawn(seven, terms="king − man + woman", of="out", layer=2)
    tokens = [int(encode(word)[0]) for word in (" king", " man", " woman")]
    vector = sum_of_tokens(seven, list(zip((1, -1, 1), tokens, strict=True)), centred=False)
    np.testing.assert_array_equal(
        shown.figure.data[0].customdata, nearest_tokens(seven, vector, N_SHOWN, centred=False).ids
    )
    assert "Asked for: ‘·king’ − ‘·man’ + ‘·woman’, token embeddings whatever is selected." in shown.foot


def test_what_was_typed_is_hatched_and_named(seven: Trace) -> None:
    figure = drawn(seven, terms="king").figure
    king = int(encode(" king")[0])
    assert figure.data[0].customdata[0] == king
    assert figure.data[0].marker.pattern.shape[:2] == ("/", "")
    assert figure.layout.yaxis.ticktext[0] == "·king ∙ typed"


def test_a_word_of_several_tokens_is_refused(seven: Trace) -> None:
    with pytest.raises(NotOneToken):
        drawn(seven, terms="king − xyzzyplugh")


def test_nothing_left_is_said(seven: Trace) -> None:
    shown = drawn(seven, terms="king − king")
    assert not len(shown.figure.data[0].x)
    assert "it has no direction and no token is nearest" in shown.foot
