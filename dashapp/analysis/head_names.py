"""What heads are called: as measured on these weights, and as published where the weights are known ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dashapp.analysis.attention import Head
from dashapp.analysis.heads import HeadProbe, Kind, is_gpt2_small, measured_kinds
from dashapp.traces.record import Trace

LETTERS: Final[dict[Kind, str]] = {"previous": "P", "duplicate": "D", "induction": "I", "first": "F"}
WORDS: Final[dict[Kind, str]] = {
    "previous": "previous-token head",
    "duplicate": "duplicate-token head",
    "induction": "induction head",
    "first": "first-token head",
}
SOURCE: Final = "Wang et al. 2022"

# The circuit of indirect object identification in GPT-2 small (Wang et al. 2022, figure 2): role → its letter, heads.
_CIRCUIT: Final[dict[str, tuple[str, tuple[tuple[int, int], ...]]]] = {
    "name mover": ("N", ((9, 9), (10, 0), (9, 6))),
    "backup name mover": (
        "B",
        ((10, 10), (10, 6), (10, 2), (10, 1), (11, 2), (9, 7), (9, 0), (11, 9)),
    ),
    "negative name mover": ("−", ((10, 7), (11, 10))),
    "S-inhibition head": ("S", ((7, 3), (7, 9), (8, 6), (8, 10))),
    "induction head": ("I", ((5, 5), (6, 9), (5, 8), (5, 9))),
    "duplicate-token head": ("D", ((0, 1), (3, 0), (0, 10))),
    "previous-token head": ("P", ((2, 2), (4, 11))),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadName:
    """letter: of its kind, for small pictures. measured: with its score on the probe, or "". published: role, or ""."""

    letter: str
    measured: str
    published: str

    @property
    def words(self) -> str:
        """All that it is called, and by whom."""
        published = f"{self.published} ({SOURCE})" if self.published else ""
        return ", ".join(part for part in (self.measured, published) if part)


def head_names(trace: Trace, probe: HeadProbe) -> Mapping[Head, HeadName]:
    """The heads that have a name. Roles are published for GPT-2 small alone, and only of it are they told."""
    found = {}
    for head, kind in measured_kinds(probe.scores).items():
        score = getattr(probe.scores, kind)[head.layer, head.head]
        found[head] = HeadName(letter=LETTERS[kind], measured=f"{WORDS[kind]} ({score:.2f} on the probe)", published="")
    if not is_gpt2_small(trace, probe):
        return found
    for role, (letter, places) in _CIRCUIT.items():
        for layer, number in places:
            of = Head(layer=layer, head=number)
            known = found.get(of)
            found[of] = HeadName(
                letter=known.letter if known else letter, measured=known.measured if known else "", published=role
            )
    return found
