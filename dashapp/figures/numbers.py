"""Shares and amounts of information as a person reads them: three digits, and no more certainty than there is.

What is not all is never called 100%, what is not nothing never 0%, and no number stands in powers of ten.
"""

from __future__ import annotations

from typing import Final

LEAST: Final = 1e-5  # a share below it is only called smaller than it
MOST: Final = 0.99995  # above it another digit would round to 100%
ROUNDING: Final = 1e-9  # a sum of 50,257 float64 probabilities may be so far from 1


def percent(share: float) -> str:
    """A share in per cent, in a sentence: '12.3%', 'less than 0.001%', 'more than 99.99%'."""
    if 0 < abs(share) < LEAST:
        return "less than 0.001%" if share > 0 else "less than 0.001% below 0"
    if MOST <= share < 1 - ROUNDING:
        return "more than 99.99%"
    if abs(share) >= 9.995:
        return f"{100 * share:,.0f}%".replace("-", "−")
    digits = 4 if 0.9995 <= share < 1 - ROUNDING else 3
    return f"{100 * share:.{digits}g}%".replace("-", "−")


def percent_label(share: float) -> str:
    """The same where a sentence has no room, as Plotly reads it: '12.3%', '<0.001%', '>99.99%'."""
    return percent(share).replace("less than ", "&lt;").replace("more than ", "&gt;")
