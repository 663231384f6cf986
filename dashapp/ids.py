"""Every id of a component, by what it is. Nothing else in the app writes one as a string."""

from __future__ import annotations

from typing import Any, Final

# The shell: there once, on every page.
SHELL: Final = "shell"
MODEL_CHIP: Final = "model-chip"
THEME_BUTTON: Final = "theme-button"
PROMPT: Final = "prompt"
PROMPT_DIFFERS: Final = "prompt-differs"
SETTINGS_SUMMARY: Final = "settings-summary"
MAX_NEW_TOKENS: Final = "max-new-tokens"
TEMPERATURE: Final = "temperature"
TOP_K: Final = "top-k"
TOP_P: Final = "top-p"
SEED: Final = "seed"
BOS: Final = "bos"
GO: Final = "go"
BAR: Final = "bar"
STATUS: Final = "status"
FAILURE: Final = "failure"
FAILURE_TEXT: Final = "failure-text"
RETRY: Final = "retry"
STRIP: Final = "token-strip"
HINT: Final = "hint"
SELECTION_TEXT: Final = "selection-text"
SELECTION_CLEAR: Final = "selection-clear"

# What the browser holds: keys, a selection, the state of a run. No tensor.
REQUEST: Final = "request"  # what was asked for last
ASK: Final = "ask"  # the same, asked again while it waits for a place
ANSWER: Final = "answer"  # known, refused, waiting, or admitted
ADMITTED: Final = "admitted"  # starts the job
PROGRESS: Final = "progress"  # the job's latest state
JOB_RESULT: Final = "job-result"
FINISHED: Final = "finished"  # a copy that no callback outputs: whatever depends on a job's Output waits for its end
RUNNING: Final = "running"
STOP: Final = "stop"
STOPPED: Final = "stopped"
RUN: Final = "run"  # all of the above in one: what is drawn
SELECTION: Final = "selection"
THEME: Final = "theme"
PULSE: Final = "pulse"
LOCATION: Final = "location"
RESTORE: Final = "restore"  # the browser went back or forward: what its address now says
LINKED: Final = "linked"  # the query string of the present view


def nav_link(path: Any) -> dict[str, Any]:
    """The navbar's link to a page; a path, or a wildcard."""
    return {"type": "nav", "path": path}


def part(kind: str, panel: Any, slot: Any) -> dict[str, Any]:
    """A part of a panel in a slot: its figure, view, state, …; names, or Dash's wildcards."""
    return {"type": kind, "panel": panel, "slot": slot}


def knob(panel: Any, slot: Any, name: Any) -> dict[str, Any]:
    """A panel's knob in a slot; names, or Dash's wildcards."""
    return {"type": "knob", "panel": panel, "slot": slot, "name": name}


def title(panel: str, slot: str) -> str:
    """A panel's heading: a plain id, for `aria-labelledby` takes no other."""
    return f"title-{panel}-{slot}"
