"""The figure of a tree of continuations, by what it shows."""

from __future__ import annotations

import pytest

from dashapp.analysis.continuations import Path, tree_of
from dashapp.figures.continuations import BELOW, tree
from dashapp.figures.theme import THEMES, Frame, ThemeName

NODES = tree_of(
    [
        Path(kind="shown", tokens=(1, 2), logprobs=(-0.693147, -1.386294)),
        Path(kind="beam", tokens=(1, 3), logprobs=(-0.693147, -2.0)),
        Path(kind="alternative", tokens=(4,), logprobs=(-3.0,)),
    ],
    before=-0.693147,
    depth=4,
)
TEXTS = {1: " a", 2: "<b>", 3: "\n", 4: " cat"}


def figure(**frame: object):  # type: ignore[no-untyped-def]
    return tree(
        NODES,
        texts=TEXTS,
        root=" the",
        before=-0.693147,
        depth=4,
        frame=Frame(**({"theme": "light"} | frame)),  # type: ignore[arg-type]
    )


def test_a_mark_stands_for_each_token_by_its_depth_and_row() -> None:
    _, marks, totals = figure().data
    assert list(marks.text) == ["<b>·the</b>", "·a", "&lt;b&gt;", "↵", "·cat"]
    assert list(marks.x) == list(totals.x) == [0, 1, 2, 2, 1]
    assert list(marks.y) == [0, 0, 0, 1, 2]
    assert [y - mark for y, mark in zip(totals.y, marks.y, strict=True)] == pytest.approx([BELOW] * 5)
    assert list(marks.customdata) == [-1, 0, 1, 2, 3]


def test_kinds_differ_by_their_symbol_and_the_root_is_amber() -> None:
    marks = figure().data[1]
    assert list(marks.marker.symbol) == ["circle", "circle", "circle", "diamond", "circle-open"]
    assert marks.marker.color[0] == THEMES["light"].selection
    assert THEMES["light"].selection not in marks.marker.color[1:]


@pytest.mark.parametrize(("units", "said"), [("bits", ["−1", "−2", "−4", "−4.89", "−5.33"]), ("nats", ["−0.693"])])
def test_log_probabilities_are_those_since_the_prompt_in_the_unit_that_is_wanted(units: str, said: list[str]) -> None:
    drawn = figure(units=units)
    assert list(drawn.data[2].text)[: len(said)] == said
    assert drawn.layout.xaxis.title.text.endswith(f"the log-probability since the prompt ({units})")


def test_a_hover_is_a_sentence_that_says_what_a_click_does() -> None:
    hovers = figure().data[1].hovertext
    assert hovers[2].startswith(
        "‘·a&lt;b&gt;’<br>last token: probability 25%, in the text on screen: click to select it"
    )
    assert "found by beam search: click to open it" in hovers[3]
    assert "likely here: click to branch" in hovers[4]
    assert hovers[2].endswith("since the prompt: −4 bits")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_edges_go_from_parent_to_child(theme: ThemeName) -> None:
    edges = figure(theme=theme).data[0]
    lines = [list(zip(edges.x[i : i + 4], edges.y[i : i + 4], strict=True)) for i in range(0, len(edges.x), 5)]
    assert [(line[0], line[-1]) for line in lines] == [
        ((0, 0), (1, 0)), ((1, 0), (2, 0)), ((1, 0), (2, 1)), ((0, 0), (1, 2)),
    ]  # fmt: skip
    assert all(edges.x[i] is None for i in range(4, len(edges.x), 5))
