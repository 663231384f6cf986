"""Colours that can be read: WCAG contrast of every pair that is put together, in both themes."""

from __future__ import annotations

import pytest

from dashapp.figures import plot
from dashapp.figures.theme import (
    TEXT_FACTORS,
    THEMES,
    Frame,
    ThemeName,
    css_variables,
    enlarged,
    framed,
    room_for_numbers,
)


def luminance(colour: str) -> float:
    """Relative luminance of '#rrggbb' (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_black_and_white() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "raised"])
@pytest.mark.parametrize("text", ["ink", "muted", "slot_a", "slot_b"])
def test_texts_can_be_read(theme: ThemeName, ground: str, text: str) -> None:
    colours = THEMES[theme]
    assert contrast(getattr(colours, text), getattr(colours, ground)) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("mark", ["edge", "selection", "slot_a", "slot_b", "amount", "alarm"])
def test_marks_can_be_seen(theme: ThemeName, mark: str) -> None:
    assert contrast(getattr(THEMES[theme], mark), THEMES[theme].paper) >= 3


def test_the_stylesheet_has_every_colour_of_both_themes() -> None:
    css = css_variables()
    for name, theme in THEMES.items():
        block = css.split(f'[data-bs-theme="{name}"]')[1].split("}")[0]
        assert f"--slot-a:{theme.slot_a};" in block
        assert f"--paper:{theme.paper};" in block


def test_larger_text_has_as_much_more_room() -> None:
    def figure() -> plot.Figure:
        bars = plot.Bar(x=[1], y=["a"], textfont={"size": 10})
        drawn = framed(bars, frame=Frame(theme="light"), height=100, summary="One bar.")
        drawn.add_annotation(text="plain")
        return drawn.add_annotation(text="small", font={"size": 8})

    plain, larger = figure().to_plotly_json(), enlarged(figure(), 1.5).to_plotly_json()
    assert larger["layout"]["height"] == 150
    assert larger["layout"]["margin"] == {side: round(1.5 * px) for side, px in plain["layout"]["margin"].items()}
    assert larger["layout"]["font"] == plain["layout"]["font"] | {"size": 1.5 * plain["layout"]["font"]["size"]}
    assert larger["data"][0]["textfont"]["size"] == 15
    title = larger["layout"]["xaxis"]["title"]["font"]
    assert title == plain["layout"]["xaxis"]["title"]["font"] | {"size": 1.5 * 13}
    assert [note["text"] for note in larger["layout"]["annotations"]] == ["plain", "small"]
    assert larger["layout"]["annotations"][1]["font"]["size"] == 12
    assert enlarged(figure(), 1).to_plotly_json() == plain


@pytest.mark.parametrize("text", TEXT_FACTORS[:2])  # larger, names alone fill a telephone
@pytest.mark.parametrize(("is_narrow", "pixels"), [(True, 390 - 32), (False, 601 - 32)])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.1, 2.5), (-3.0, 1e-6)])
def test_numbers_at_the_ends_of_bars_have_room(
    low: float, high: float, is_narrow: bool, pixels: int, text: float
) -> None:
    """Beside the longest bars of both sides, in the narrowest window of each kind; 50 pixels hold "−0.00447"."""
    frame = Frame(theme="light", is_narrow=is_narrow, text=text)
    start, end = room_for_numbers(low, high, left=132, frame=frame)
    per_pixel = (end - start) / (pixels - (132 + 16) * text)
    assert (end - high) / per_pixel >= 50 * text
    assert (low - start) / per_pixel >= 50 * text if low < 0 else start == 0
