"""Every panel's figure is one that Plotly takes as it stands: nothing else checks it before a browser draws it."""

from __future__ import annotations

import pytest

from dashapp.errors import OtherPlaces
from dashapp.panels.catalogue import PAIR_PANELS, PANELS
from dashapp.panels.panel import draw
from dashapp.traces.record import Trace
from tests.panels.test_payload import random_trace, views, with_other_tokens
from tests.plotly import taken_by_plotly

N_TOKENS, POS = 40, 30
LOOKS = ({"theme": "light", "text": 1, "narrow": False}, {"theme": "dark", "text": 1.5, "narrow": True})


@pytest.fixture(scope="module")
def trace() -> Trace:
    return random_trace(N_TOKENS)


@pytest.mark.parametrize("looks", LOOKS, ids=["light", "dark"])
@pytest.mark.parametrize("name", PANELS)
def test_plotly_takes_the_figure_of_a_panel_as_it_stands(name: str, looks: dict[str, object], trace: Trace) -> None:
    for view in views(name, pos=POS, n_prompt=N_TOKENS):
        assert taken_by_plotly(draw(PANELS[name], trace, view | looks).figure)["layout"]["meta"]["summary"]


@pytest.mark.parametrize("looks", LOOKS, ids=["light", "dark"])
@pytest.mark.parametrize("name", PAIR_PANELS)
def test_plotly_takes_the_figure_of_a_pair_as_it_stands(name: str, looks: dict[str, object], trace: Trace) -> None:
    other, beside = with_other_tokens(trace), {"key": "", "pos": POS, "n_prompt": N_TOKENS}
    for view in views(name, pos=POS, n_prompt=N_TOKENS):
        try:
            figure = draw(PAIR_PANELS[name], trace, view | looks | {"beside": beside}, other=other).figure
        except OtherPlaces:  # patterns of prompts that are not straight
            continue
        assert taken_by_plotly(figure)["layout"]["meta"]["summary"]
