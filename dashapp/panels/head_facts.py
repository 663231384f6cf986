"""What the panels of heads share: what scores are called, and the probe's work and names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np

from dashapp.analysis.attention import Head
from dashapp.analysis.head_names import LETTERS, SOURCE, WORDS, HeadName, head_names
from dashapp.analysis.heads import NAMED_FROM, HeadProbe
from dashapp.jobs.works import Work
from dashapp.traces.record import Trace

Score = Literal["previous", "duplicate", "induction", "first", "entropy_nats", "distance_tokens", "copying"]

SCORES: Final[dict[str, str]] = {
    "previous": "token before",
    "duplicate": "earlier copies",
    "induction": "after copies",
    "first": "first token",
    "entropy_nats": "entropy",
    "distance_tokens": "distance",
    "copying": "copying",
}


def probe_work(trace: Trace) -> Work:
    """The probe of a trace's weights: done once for all of their prompts."""
    return Work(kind="heads", trace=trace.key, arguments={}, weights=trace.fingerprint)


def probe_of(result: Mapping[str, np.ndarray] | None) -> HeadProbe | None:
    """The probe from what its work left; None while it is not there."""
    return None if result is None else HeadProbe.from_arrays(result)


def names_of(trace: Trace, probe: HeadProbe | None) -> Mapping[Head, HeadName]:
    """The heads that have a name; none before the probe is there."""
    return {} if probe is None else head_names(trace, probe)


def said_of_names(names: Mapping[Head, HeadName], probe: HeadProbe | None) -> str:
    """What the letters mean and where they come from."""
    if probe is None:
        return "Names of heads appear when the probe of these weights is done."
    measured = f"measured on these weights: at least {NAMED_FROM:g} of its attention on the probe"
    if not names:
        return f"No head has a name, {measured} would go where such a head looks."
    letters = ", ".join(f"{letter} {WORDS[kind].removesuffix(' head')}" for kind, letter in LETTERS.items())
    if any(name.published for name in names.values()):
        others = "N name mover, B backup, − negative, S S-inhibition"
        return f"Letters are kinds of heads: {letters} ({measured}), and as published, {others} ({SOURCE})."
    return f"Letters are kinds of heads: {letters} ({measured})."


def sorted_heads(values: np.ndarray) -> list[Head]:
    """Heads by a score [layer head], the largest first."""
    order = np.argsort(-values, axis=None, kind="stable")
    return [Head(layer=int(place) // values.shape[1], head=int(place) % values.shape[1]) for place in order]
