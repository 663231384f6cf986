"""Figures as plain dicts: parts merge as Plotly's do, and arrays travel as bytes that are theirs."""

from __future__ import annotations

import base64
import json

import numpy as np
import plotly.graph_objects as go
import pytest

from dashapp.figures import plot


def test_a_part_merges_names_with_strokes_and_forgets_what_becomes_none() -> None:
    part = plot.Part({"title": {"text": "A", "font": {"size": 10}}, "paper_bgcolor": "white"})
    part.update(title_text="B", title={"standoff": 3}, showlegend=False)
    assert part == {
        "title": {"text": "B", "font": {"size": 10}, "standoff": 3},
        "paper_bgcolor": "white",
        "showlegend": False,
    }
    part.update(showlegend=None, title_font_size=None)
    assert part == {"title": {"text": "B", "font": {}, "standoff": 3}, "paper_bgcolor": "white"}
    assert (part.title.text, part.annotations) == ("B", None)


def test_a_figure_updated_in_steps_is_what_plotly_makes_of_the_same_steps() -> None:
    made = [kind.Figure([kind.Bar(x=[1, 2], y=["a", "b"], marker_color="red")]) for kind in (plot, go)]
    for figure in made:
        figure.update_layout(xaxis={"title": {"text": "n"}}, yaxis={"visible": True}, height=100)
        figure.update_xaxes(title_font_size=9, range=[0, 1]).update_yaxes(visible=False)
        figure.add_annotation(text="here", x=1).add_shape(type="line", x0=0, x1=1)
        figure.add_annotation(text="there")
    ours, theirs = (json.loads(figure.to_json()) for figure in made)
    for sent in (ours, theirs):
        assert sent["layout"].pop("template")  # ours is what our traces use of Plotly's
    assert ours == theirs


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (np.array([[1.5, -2.0], [np.nan, 3.0]], dtype=np.float32), "f4"),
        (np.arange(6.0).reshape(2, 3)[:, ::-1], "f8"),
        (np.array([0, 255]), "i2"),
        (np.array([-128, 127]), "i1"),
        (np.array([70_000, 1], dtype=np.uint64), "u4"),
    ],
    ids=["float32", "not contiguous", "two bytes", "one byte", "unsigned"],
)
def test_an_array_travels_as_its_bytes_in_the_narrowest_type(array: np.ndarray, dtype: str) -> None:
    sent = plot.typed(array)
    assert isinstance(sent, dict)
    back = np.frombuffer(base64.b64decode(sent["bdata"]), dtype=f"<{sent['dtype']}")
    assert sent["dtype"] == dtype
    np.testing.assert_array_equal(back.reshape(array.shape), array)
    assert sent.get("shape", str(array.size)) == ", ".join(str(n) for n in array.shape)


@pytest.mark.parametrize(
    "array",
    [np.array(["a", "b"]), np.array([], dtype=np.float32), np.array([1, 2**40])],
    ids=["text", "nothing", "too large"],
)
def test_what_plotly_js_has_no_type_for_travels_as_a_list(array: np.ndarray) -> None:
    assert plot.typed(array) == array.tolist()
