"""What the panels of the stream's parts say below their figures, against the model's own numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

import dashapp
from dashapp.figures.tokens import plain_label
from dashapp.panels.catalogue import PANELS
from dashapp.panels.panel import Drawn, draw
from dashapp.traces.record import Trace

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2


@pytest.fixture(scope="module")
def trace(text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, "The <b> sat on a mat", cache=False)


def drawn(name: str, trace: Trace, pos: int = 2, **knobs: str) -> Drawn:
    defaults = {knob.name: knob.default for knob in PANELS[name].knobs}
    return draw(PANELS[name], trace, {"theme": "light", "text": 1, "pos": pos, "knobs": defaults | knobs})


def test_shares_are_told_and_sum_to_the_whole(trace: Trace) -> None:
    said = drawn("resid-writes", trace).foot
    final = trace.resid_post[-1][2].astype(np.float64)
    share = float(trace.resid_pre[0][2].astype(np.float64) @ final) / float(final @ final)
    assert said.startswith(f"Token 2 ‘{plain_label(trace.token_texts[2])}’. Of the last stream, the embeddings wrote ")
    assert f"wrote {100 * share:.3g}%, all attention".replace("-", "−") in said
    assert "together 100%" in said
    assert re.search(r"(The MLP|Attention) of layer \d has most of all layers, −?[\d.]+%\.$", said)


def test_position_zero_is_set_apart(trace: Trace) -> None:
    for name in ("resid-writes", "resid-dimensions"):
        assert "token 0" not in drawn(name, trace, pos=0, of="mean").foot.lower()
        assert "Position 0, which in trained models behaves differently, is in none of the means" in (
            drawn(name, trace, of="mean").foot
        )
        assert "which in trained models behaves differently" in drawn(name, trace, pos=0).foot
        of_first, of_fourth = (drawn(name, trace, pos=pos, of="mean") for pos in (0, 3))
        assert (of_first.foot, of_first.figure.to_json()) == (of_fourth.foot, of_fourth.figure.to_json())


def test_dimensions_say_how_much_they_hold(trace: Trace) -> None:
    assert "All 10 dimensions." in drawn("resid-dimensions", trace).foot
    figure = drawn("resid-dimensions", trace, of="mean", colour="value").figure
    mean = trace.read("resid")[:, 1:].astype(np.float64).mean(axis=1)
    first = int(figure.layout.yaxis2.ticktext[0])
    assert first == int(np.argmax((mean**2 / (mean**2).sum(axis=1, keepdims=True)).max(axis=0)))
    np.testing.assert_allclose(figure.data[0].z[0], mean[:, first], rtol=1e-6)
