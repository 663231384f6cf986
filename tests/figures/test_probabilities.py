"""Bars of next tokens in several runs: each in its own colour and hatch, on an axis that holds them all."""

from __future__ import annotations

import math

import numpy as np

from dashapp.figures.probabilities import Run, probability_bars
from dashapp.figures.theme import Frame

FRAME = Frame(theme="light")
IDS = np.array([7, 9, 4])
TEXTS = [" one", "<b>", " two"]
PROBS: dict[Run, np.ndarray] = {"a": np.array([0.5, 0.2, 0.1]), "b": np.array([0.1, 0.15, 0.6])}


def test_each_token_has_a_bar_of_each_run_in_its_colour_and_hatch() -> None:
    figure = probability_bars(IDS, PROBS, texts=TEXTS, frame=FRAME)
    a, b = figure.data
    assert (list(a.x), list(b.x)) == ([0.5, 0.2, 0.1], [0.1, 0.15, 0.6])
    assert (a.marker.color, b.marker.color) == (FRAME.colours.slot_a, FRAME.colours.slot_b)
    assert b.marker.pattern.shape == "/"
    assert list(a.customdata) == list(b.customdata) == [7, 9, 4]  # what a click makes the target
    assert a.hovertext[1] == "‘&lt;b&gt;’ comes next with probability 20% in a, 15% in b"
    assert list(figure.layout.yaxis.ticktext) == ["·one", "&lt;b&gt;", "·two"]
    assert figure.layout.xaxis.range[0] == 0
    assert figure.layout.xaxis.range[1] > 0.6


def test_a_patched_run_has_a_look_of_its_own() -> None:
    figure = probability_bars(IDS, PROBS | {"patched": np.array([0.4, 0.3, 0.2])}, texts=TEXTS, frame=FRAME)
    assert [bars.name for bars in figure.data] == ["in a", "in b", "patched"]
    assert figure.data[2].marker.pattern.shape == "x"
    assert figure.data[2].hovertext[0].endswith("50% in a, 10% in b, 40% patched")
    assert figure.layout.height > probability_bars(IDS, PROBS, texts=TEXTS, frame=FRAME).layout.height


def test_a_logarithmic_axis_holds_every_bar() -> None:
    axis = probability_bars(IDS, PROBS, texts=TEXTS, scale="log", frame=FRAME).layout.xaxis
    assert axis.type == "log"
    assert axis.range[0] <= -1
    assert axis.range[1] > math.log10(0.6)
