"""Colour scales: what is more looks further from the paper, and zero looks like nothing."""

from __future__ import annotations

import numpy as np
import pytest

from dashapp.figures.theme import THEMES, Frame, ThemeName


def lightness(colour: str) -> float:
    """CIE L* of a hexadecimal sRGB colour, 0 to 100."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    return 116 * luminance ** (1 / 3) - 16 if luminance > 0.008856 else 903.3 * luminance


@pytest.mark.parametrize("theme", THEMES)
def test_amounts_run_from_the_paper_in_even_steps_of_lightness(theme: ThemeName) -> None:
    scale = Frame(theme=theme).amount_scale
    assert scale[0] == (0.0, THEMES[theme].paper)
    assert scale[-1][0] == 1.0
    steps = np.diff([lightness(colour) for _, colour in scale])
    assert abs(steps.sum()) > 60
    assert steps.max() / steps.min() == pytest.approx(1, abs=0.3)  # an eye takes steps within a third for even


@pytest.mark.parametrize("theme", THEMES)
def test_signed_amounts_are_paper_at_zero_and_the_slots_colours_at_the_ends(theme: ThemeName) -> None:
    colours = THEMES[theme]
    assert Frame(theme=theme).signed_scale == [(0.0, colours.slot_b), (0.5, colours.paper), (1.0, colours.slot_a)]
