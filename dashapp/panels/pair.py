"""What the panels of a pair of tokens share: which pair and head they show, and how they say so."""

from __future__ import annotations

from dataclasses import dataclass

from dashapp.analysis.attention import Head, head_to_begin_with
from dashapp.analysis.pairs import key_to_begin_with
from dashapp.figures.tokens import plain_label
from dashapp.panels.head_pattern import selected_head
from dashapp.traces.record import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A token that looks and one that is looked at, in a head. said: which of them nobody has selected, or ""."""

    pos: int
    key: int
    of: Head
    said: str


def chosen_pair(trace: Trace, pos: int, key: int | None, layer: int | None, head: int | None) -> Pair:
    """The selected pair and head, or those to begin with."""
    selected = selected_head(layer, head)
    of = selected or head_to_begin_with(trace)
    parts = []
    if selected is None:
        parts.append(f"No head is selected. Shown: layer {of.layer}, head {of.head}.")
    if key is None:
        key = key_to_begin_with(trace, pos, of)
        parts.append("No second token is selected: this is what the head looks at most, the first and itself left out.")
    return Pair(pos=pos, key=key, of=of, said=" ".join(parts))


def named(trace: Trace, pos: int) -> str:
    """A token in a sentence outside figures."""
    return f"token {pos} ‘{plain_label(trace.token_texts[pos])}’"
