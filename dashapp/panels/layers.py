"""The layer that a panel shows when it shows one at a time."""

from __future__ import annotations


def layer_shown(selected: int | None) -> tuple[int, str]:
    """The selected layer, or the first; and what the foot line then begins with."""
    if selected is not None:
        return selected, ""
    return 0, "No layer is selected: choose one above the figures. "
