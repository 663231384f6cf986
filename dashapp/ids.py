"""Every id of a component, by what it is. Nothing else in the app writes one as a string."""

from __future__ import annotations

from typing import Any, Final, Literal

Slot = Literal["a", "b"]
SLOTS: Final[tuple[Slot, ...]] = ("a", "b")  # b is shown on Compare alone

# The shell: there once, on every page.
SHELL: Final = "shell"
THEME_BUTTON: Final = "theme-button"
TEXT_SIZE: Final = "text-size"
SHARE: Final = "share"
EXAMPLES: Final = "examples"
MODEL_PICKER: Final = "model-picker"
MODEL_CHIP: Final = "model-chip"  # what opens the picker: the model of the run, and what the next one will use
MODEL_NAME: Final = "model-name"
MODEL_SIZE: Final = "model-size"
MODEL_OTHER: Final = "model-other"  # that of slot b's run, where it is another
MODEL_NEXT: Final = "model-next"
MODEL_LIST: Final = "model-list"
MODEL_LIST_TITLE: Final = "model-list-title"
MODEL_DEFAULT: Final = "model-default"  # the name of the model that the server was started with
MODELS: Final = "models"  # all models, as the server told them last
MODELS_ORDER: Final = "models-order"  # list them, download one, stop that
MODELS_PULSE: Final = "models-pulse"
DEMO_NOTE: Final = "demo-note"
SELECTION_TEXT: Final = "selection-text"
SELECTION_LAYER: Final = "selection-layer"
SELECTION_HEAD: Final = "selection-head"
SELECTION_NEURON: Final = "selection-neuron"
SELECTION_TARGET: Final = "selection-target"
SELECTION_AGAINST: Final = "selection-against"
VOCABULARY: Final = "vocabulary"  # tokens that fit what is being typed
SELECTION_UNDO: Final = "selection-undo"
SELECTION_CLEAR: Final = "selection-clear"
WEIGHTS_DIRECTION: Final = "weights-direction"  # whether a strip shows what a token looks at, or who looks at it
TREE_ACTIONS: Final = "tree-actions"  # what can be done with the tree of continuations
STRIP_COLOUR: Final = "strip-colour"  # what a strip's colours and bars show
TOKEN_CARD: Final = "token-card"  # what a token of a strip is
UNITS_CHOICE: Final = "units-choice"
TOASTS: Final = "toasts"  # errors that belong to no place on the page

# What the browser holds for all slots: a selection, how the page looks, the address.
SELECTION: Final = "selection"
THEME: Final = "theme"
TEXT: Final = "text"  # how large text is drawn: a factor
UNITS: Final = "units"  # of information: bits or nats
PULSE: Final = "pulse"
LOCATION: Final = "location"
RESTORE: Final = "restore"  # the browser went back or forward: what its address now says
TOLD: Final = "told"  # an error that the server wants said in a toast
RECIPE_TO_KEEP: Final = "recipe-to-keep"  # a link's prompts that are too long for an address
RECIPE_KEPT: Final = "recipe-kept"  # their key
RECIPE_TO_OPEN: Final = "recipe-to-open"  # a key that an address carries
RECIPE_OPENED: Final = "recipe-opened"  # its prompts

PAIR: Final = "pair"  # the traces of both slots, and what is decided of their alignment
PINS: Final = "pins"  # that a person decided something of it: 50-shell.js knows what
ALIGNMENT: Final = "alignment"  # which of their tokens stand for each other
PINS_REFUSED: Final = "pins-refused"  # what of that does not fit, and why

# The page Compare.
COMPARED: Final = "compared"  # two traces and a token of each
COMPARE_EMPTY: Final = "compare-empty"
COMPARE_TOKENS: Final = "compare-tokens"
COMPARE_EXPECTATIONS: Final = "compare-expectations"
COMPARE_EXAMPLE: Final = "compare-example"
COMPARE_COPY: Final = "compare-copy"
COMPARE_SWAP: Final = "compare-swap"
ALIGN: Final = "align"  # the editor of their alignment
ALIGN_PAIRS: Final = "align-pairs"
ALIGN_SAID: Final = "align-said"
ALIGN_REFUSED: Final = "align-refused"
ALIGN_ALONE: Final = "align-alone"
ALIGN_DROP: Final = "align-drop"
ALIGN_CANCEL: Final = "align-cancel"
ALIGN_UNDO: Final = "align-undo"
COMPARE_SHOWN: Final = "compare-shown"  # those that are there
COMPARE_QUERY: Final = "compare-query"  # what the address said when the page was opened

# The page Model.
MODEL_ON_SCREEN: Final = "model-on-screen"  # the name of the model of the run on screen
MODEL_FACTS: Final = "model-facts"  # what is said of it
MODEL_DIAGRAM: Final = "model-diagram"
CACHE_HELD: Final = "cache-held"
CACHE_CLEAR: Final = "cache-clear"
CACHE_QUESTION: Final = "cache-question"
CACHE_YES: Final = "cache-yes"
CACHE_NO: Final = "cache-no"
CACHE_CLEARED: Final = "cache-cleared"
CACHE_AGAIN: Final = "cache-again"

# The Python of a figure, to be copied.
SNIPPET: Final = "snippet"
SNIPPET_TITLE: Final = "snippet-title"
SNIPPET_CODE: Final = "snippet-code"
SNIPPET_COPY: Final = "snippet-copy"
SNIPPET_CLOSE: Final = "snippet-close"
SNIPPET_SAID: Final = "snippet-said"

# The prompts that were run in this browser.
HISTORY: Final = "history"
HISTORY_LIST: Final = "history-list"
HISTORY_NONE: Final = "history-none"
HISTORY_CLEAR: Final = "history-clear"
HISTORY_UNDO: Final = "history-undo"
HISTORY_SAID: Final = "history-said"

# A slot's run as a file, as `of(FILE_TAKE, "a")`.
FILE: Final = "file"
FILE_TAKE: Final = "file-take"
FILE_BRING: Final = "file-bring"
FILE_STOP: Final = "file-stop"
FILE_BAR: Final = "file-bar"
FILE_SAID: Final = "file-said"
FILE_MARK: Final = "file-mark"  # that the run on screen came by a file
FILE_CHECK: Final = "file-check"
FILE_VERDICT: Final = "file-verdict"
FILE_COMPARED: Final = "file-compared"  # in a check of it

# Of each slot: its prompt bar and strip, as `of(GO, "a")`.
SLOT: Final = "slot"
SLOT_NAME: Final = "slot-name"  # its letter, for the functions in the browser that serve every slot
PROMPT: Final = "prompt"
PROMPT_DIFFERS: Final = "prompt-differs"
SETTINGS_SUMMARY: Final = "settings-summary"
MAX_NEW_TOKENS: Final = "max-new-tokens"
TEMPERATURE: Final = "temperature"
TOP_K: Final = "top-k"
TOP_P: Final = "top-p"
SEED: Final = "seed"
BOS: Final = "bos"
BOS_BOTH: Final = "bos-both"  # the prompt with and without <|endoftext|> in front, side by side
STOP_AT_END: Final = "stop-at-end"
MODEL: Final = "model"
GO: Final = "go"
BAR: Final = "bar"
STATUS: Final = "status"
FAILURE: Final = "failure"
FAILURE_TEXT: Final = "failure-text"
RETRY: Final = "retry"
CUT: Final = "cut"
INSTEAD: Final = "instead"  # with the weights or the model that are here
HINT: Final = "hint"  # what to look at in the example that was opened
STRIP: Final = "token-strip"
TYPED_COUNT: Final = "typed-count"
TYPED_WARNING: Final = "typed-warning"
TYPED_TOKENS: Final = "typed-tokens"
TYPED_SPLIT: Final = "typed-split"  # how one of them is made
WEIGHTS_LEGEND: Final = "weights-legend"

# Of each slot, what the browser holds: keys and the state of a run. No tensor.
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
LIVE: Final = "live"  # all of the above in one: what prompt bar and strip draw, anew with each token
RUN: Final = (
    "run"  # as panels need it: whole, or that it is being computed; set after the strip is drawn, see `50-shell.js`
)

STORES: Final = (REQUEST, ASK, ANSWER, ADMITTED, PROGRESS, JOB_RESULT, FINISHED, RUNNING, STOP, STOPPED, LIVE, RUN)
FORM: Final = (PROMPT, MAX_NEW_TOKENS, TEMPERATURE, TOP_K, TOP_P, SEED, BOS, STOP_AT_END, MODEL)


def of(name: str, slot: Slot) -> str:
    """The id of a slot's component. Plain, for background callbacks take no other."""
    return f"{name}-{slot}"


def nav_link(path: Any, place: Any = "header") -> dict[str, Any]:
    """A link that carries the view along: to a page, or with "#…" to a panel of it, from a place; or wildcards."""
    return {"type": "nav", "path": path, "place": place}


def part(kind: str, panel: Any, slot: Any) -> dict[str, Any]:
    """A part of a panel in a slot: its figure, view, state, …; names, or Dash's wildcards."""
    return {"type": kind, "panel": panel, "slot": slot}


def pair(panel: Any) -> dict[str, Any]:
    """Where a panel stands in both slots; a name, or Dash's wildcards."""
    return {"type": "pair", "panel": panel}


def behind(panel: Any, opens: Any) -> dict[str, Any]:
    """A button of a panel of pairs that opens another panel for both prompts; names, or Dash's wildcards."""
    return {"type": "behind", "panel": panel, "opens": opens}


def compare_open(page: Any) -> dict[str, Any]:
    """Of a page's panels, those that a person wants beside each other on Compare."""
    return {"type": "compare-open", "page": page}


def knob(panel: Any, slot: Any, name: Any) -> dict[str, Any]:
    """A panel's knob in a slot; names, or Dash's wildcards."""
    return {"type": "knob", "panel": panel, "slot": slot, "name": name}


def n_tokens(place: Any) -> dict[str, Any]:
    """A number of tokens in a shape of the Model page, counted in the order of the page; or a wildcard."""
    return {"type": "n-tokens", "place": place}


def title(panel: str, slot: str) -> str:
    """A panel's heading: a plain id, for `aria-labelledby` takes no other."""
    return f"title-{panel}-{slot}"
