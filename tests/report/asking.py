"""What a browser asks for a page, as 80-takeaway.js puts it together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dashapp.model.sampling import SamplingSettings
from dashapp.panels.catalogue import PANELS

if TYPE_CHECKING:
    from dashapp.traces.record import Trace

SELECTED = {"pos": 2, "key_pos": None, "layer": 1, "head": 1, "neuron": None, "target": None, "against": None}


def page_asked(trace: Trace, page: str, names: Sequence[str]) -> dict[str, Any]:
    """Panels of a page, in slot a."""
    looks = {"theme": "light", "text": 1, "units": "bits", "narrow": False}
    settings = SamplingSettings(max_new_tokens=0).as_dict()

    def view(name: str) -> dict[str, Any]:
        known = {**SELECTED, "n_prompt": trace.n_tokens, "drawn_with": settings, "branches": None}
        fields = {field: known[field] for field in PANELS[name].reads}
        knobs = {knob.name: knob.default for knob in PANELS[name].knobs}
        return {"key": trace.key, **looks, **fields, "knobs": knobs, "beside": None}

    prompt = {"key": trace.key, "n_prompt": trace.n_tokens, "settings": settings, "selected": dict(SELECTED)}
    panels = [{"panel": name, "slot": "a", "view": view(name), "why": ""} for name in names]
    return {"page": page, "looks": looks, "prompts": {"a": prompt}, "panels": panels}
