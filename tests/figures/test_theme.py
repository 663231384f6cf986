"""Colours that can be read: WCAG contrast of every pair that is put together, in both themes."""

from __future__ import annotations

import pytest

from dashapp.figures.theme import THEMES, ThemeName, css_variables


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
@pytest.mark.parametrize("text", ["ink", "muted", "slot_a"])
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
