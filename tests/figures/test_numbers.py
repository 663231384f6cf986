"""Numbers as texts: three digits, and no more certainty than there is."""

from __future__ import annotations

import math

import pytest

from dashapp.figures.numbers import percent, percent_label
from dashapp.figures.theme import Frame


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0%"),
        (1.0, "100%"),
        (0.12345, "12.3%"),
        (1e-5, "0.001%"),
        (9.9e-6, "less than 0.001%"),
        (1e-30, "less than 0.001%"),
        (0.9994, "99.9%"),
        (0.99981, "99.98%"),
        (0.99996, "more than 99.99%"),
        (1 - 1e-8, "more than 99.99%"),
        (1 - 1e-12, "100%"),  # what a sum of all probabilities may round to
        (-0.2, "−20%"),
        (-1e-7, "less than 0.001% below 0"),
        (1.234, "123%"),
    ],
)
def test_a_share_is_told_honestly(share: float, text: str) -> None:
    assert percent(share) == text


def test_what_is_held_and_the_rest_never_contradict_each_other() -> None:
    """The sentence that began this: “hold 100 %, the others 0.0007 %”."""
    for exponent in range(1, 9):
        rest = 7 * 10.0**-exponent
        assert (percent(1 - rest) == "100%") == (percent(rest) == "0%"), rest


def test_no_share_is_told_in_powers_of_ten() -> None:
    for share in [10.0**-exponent for exponent in range(20)] + [123.0, 1 / 3]:
        assert "e" not in percent(share).removeprefix("less than").removeprefix("more than")


def test_where_there_is_no_room_signs_are_escaped_for_plotly() -> None:
    assert [percent_label(share) for share in (0.5, 1e-7, 0.99999)] == ["50%", "&lt;0.001%", "&gt;99.99%"]


def test_little_information_is_only_called_little() -> None:
    bits, nats = Frame(theme="light"), Frame(theme="light", units="nats")
    assert [bits.information(amount) for amount in (0.0, 1.2e-7, 0.00123)] == [
        *("0 bits", "less than 0.001 bits", "0.00123 bits"),
    ]
    assert nats.information(0.00123) == "less than 0.001 nats"
    assert [bits.information(amount) for amount in (1.0, 0.9999, 1.01, 10.0)] == [
        "1 bit",
        "1 bit",
        "1.01 bits",
        "10 bits",
    ]
    assert nats.information(1.0) == f"{math.log(2):.3g} nats"
