"""Tokens as labels: whitespace visible, nothing hidden, nothing taken for markup."""

from __future__ import annotations

import pytest

from dashapp.figures.tokens import MOST_LABELS, MOST_NARROW, label, running_text, ticks


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" cat", "·cat"),
        ("\n\t", "↵⇥"),
        ("<b>x</b>", "&lt;b&gt;x&lt;/b&gt;"),
        ("AT&T", "AT&amp;T"),
        ("\u202eevil", "[202E]evil"),
        ("a\u200bb\x00", "a[200B]b[0]"),
        ("日本", "日本"),
        ("x" * 40, "x" * 15 + "…"),
    ],
)
def test_label(text: str, shown: str) -> None:
    assert label(text) == shown


def test_a_long_token_of_markup_is_cut_before_it_is_escaped() -> None:
    assert label("<" * 40) == "&lt;" * 15 + "…"


def test_running_text_keeps_spaces_and_shows_what_cannot_be_seen() -> None:
    assert running_text([" a", " b\n", "\u202e<c>"]) == " a b↵[202E]<c>"


@pytest.mark.parametrize("n", [0, 1, 59, 60, 61, 600, 1024])
def test_axis_labels_stay_few_enough_to_read(n: int) -> None:
    for is_narrow, most in ((False, MOST_LABELS), (True, MOST_NARROW)):
        places, names = ticks([f"t{i}" for i in range(n)], is_narrow=is_narrow)
        assert len(places) == len(names) <= most
        assert [int(name[1:]) for name in names] == places
        assert places[:1] == [0][:n]
