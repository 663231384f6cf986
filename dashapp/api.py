"""What `dashapp.load`, `trace`, `generate` and `figure` do. Imported when one of them is first asked for.

Knows settings, models and the store; all real work is in the rooms below.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from dashapp.errors import EmptyPrompt, PromptTooLong, StoreUnavailable
from dashapp.jobs.generation import Watch, continue_prompt
from dashapp.jobs.tracing import trace_tokens
from dashapp.model.checkpoint import DeviceName, DtypeName, load_model
from dashapp.model.gpt2 import GPT2
from dashapp.model.registry import DEMO, locate, name_of
from dashapp.model.sampling import SamplingSettings
from dashapp.model.tokenizer import encode_prompt
from dashapp.model.weights import FingerprintCache, Weights
from dashapp.settings import Settings
from dashapp.store.contract import Store, StoreAddress
from dashapp.store.opened import open_store
from dashapp.traces.record import Trace
from dashapp.traces.run import Run

if TYPE_CHECKING:
    import plotly.graph_objects as go

logger = logging.getLogger(__name__)

Made = TypeVar("Made", Trace, Run)
Prompt = str | Sequence[int] | np.ndarray  # text, or token ids as they are


def load(
    model: str | Path = "demo",
    *,
    dtype: DtypeName = "float32",
    device: DeviceName = "auto",
    progress: Callable[[int, int], None] | None = None,
    settings: Settings | None = None,
) -> GPT2:
    """A GPT-2 ready to run: "demo", a published name such as "gpt2", or any folder in Hugging Face format.

    A published model that is not on this machine is fetched; `progress` is told bytes here and bytes in all.
    Raises: ModelError, each kind for one thing that stands in the way.
    """
    settings = settings or Settings.read()
    folder = locate(model, models_dir=settings.models_dir, dtype=dtype, progress=progress)
    fingerprints = FingerprintCache(settings.fingerprints_file)
    weights = Weights.open(folder, name=name_of(model, models_dir=settings.models_dir), fingerprints=fingerprints)
    return load_model(weights, dtype=dtype, device=device)


def trace(
    model: GPT2,
    prompt: Prompt,
    *,
    bos: bool = True,
    special_tokens: bool = False,
    cache: bool = True,
    settings: Settings | None = None,
) -> Trace:
    """What `model` does with a prompt, in one forward pass.

    prompt: text, or token ids taken as they are. bos: put `<|endoftext|>` in front of text, as in training.
    special_tokens: read `<|endoftext|>` inside the text as that token. cache: look the trace up on disk before
    computing it, and keep it there after.
    Raises: PromptError, TraceTooLarge; ValueError for a model in training mode.
    """
    _check_model(model)
    ids = prompt_ids(model, prompt, bos=bos, special_tokens=special_tokens)
    return _with_store(lambda store: trace_tokens(model, ids, store=store), settings, cache=cache)


def generate(
    model: GPT2,
    prompt: Prompt,
    *,
    max_new_tokens: int = 40,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
    stop_at_end: bool = True,
    bos: bool = True,
    special_tokens: bool = False,
    cache: bool = True,
    watch: Watch = lambda steps: False,
    settings: Settings | None = None,
) -> Run:
    """A continuation of a prompt. The same model, prompt, settings and seed give the same text on the same machine.

    temperature 0 takes the most likely token; top_k 0 and top_p 1 keep all tokens; stop_at_end: `<|endoftext|>` ends
    the text. watch: told the steps so far after each drawn token (again from the first, should the cache fail on the
    way; never for a run that is known), ends the text by returning True. Others as for `trace`.
    Raises: PromptError; ValueError for a model in training mode.
    """
    sampling = SamplingSettings(
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        stop_at_end=stop_at_end,
    )
    _check_model(model)
    ids = prompt_ids(model, prompt, bos=bos, special_tokens=special_tokens)
    return _with_store(
        lambda store: continue_prompt(model, ids, sampling, store=store, watch=watch), settings, cache=cache
    )


def figure(
    panel: str,
    trace: Trace,
    view: Mapping[str, Any] | None = None,
    *,
    other: Trace | None = None,
    result: Mapping[str, np.ndarray] | None = None,
) -> go.Figure:
    """A figure of the app as its page draws it, as Plotly's own object.

    panel: its name, as in `dashapp.panels.catalogue`: "head-pattern". view: what is selected (pos, key_pos, layer,
    head, neuron, target, against), `knobs` by name, theme, text, units and narrow; of what is left out, the last token
    is selected and nothing else, and the rest is as on a first visit. other: of a figure of two prompts, the second's
    trace; what is selected there stands in view["beside"]. result: arrays of the work that completes the figure.
    Raises: ValueError for a panel or a view that there is not; DashappError where it cannot be drawn.
    """
    import plotly.graph_objects as go  # and Dash with the panels, which nothing else here needs

    from dashapp.panels.catalogue import PAIR_PANELS, PANELS
    from dashapp.panels.panel import draw

    known = PANELS | PAIR_PANELS
    if panel not in known:
        raise ValueError(f"there is no figure {panel!r}; there are {', '.join(known)}")
    found = known[panel]
    asked = dict(view or {})
    looks = {"theme": "light", "text": 1, "units": "bits", "narrow": False}
    knobs = {knob.name: knob.default for knob in found.knobs} | dict(asked.get("knobs", {}))
    whole: dict[str, Any] = {**looks, **_at_the_end(trace), **asked, "knobs": knobs}
    if other is not None:
        whole["beside"] = {**_at_the_end(other), **asked.get("beside", {})}
    return go.Figure(draw(found, trace, whole, result=result, other=other).figure.as_dict())


def _at_the_end(trace: Trace) -> dict[str, int]:
    """What of a selection is never nothing: the last token, and all tokens a prompt's."""
    return {"pos": trace.n_tokens - 1, "n_prompt": trace.n_tokens}


def prompt_ids(model: GPT2, prompt: Prompt, *, bos: bool = True, special_tokens: bool = False) -> np.ndarray:
    """The token ids that a prompt stands for: int32 [pos]. Raises: PromptError; ValueError for ids of no token."""
    n_ctx, d_vocab = model.config.n_ctx, model.config.d_vocab
    if isinstance(prompt, str):
        return encode_prompt(prompt, n_ctx=n_ctx, bos=bos, special_tokens=special_tokens)
    ids = np.asarray(prompt)
    if not ids.size:
        raise EmptyPrompt
    if ids.ndim != 1 or ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= d_vocab:
        raise ValueError(f"token ids are whole numbers from 0 to {d_vocab - 1:,} in one row, got {prompt!r}")
    if len(ids) > n_ctx:
        raise PromptTooLong(len(ids), n_ctx)
    return ids.astype(np.int32)


def _check_model(model: GPT2) -> None:
    if not isinstance(model, GPT2):
        raise TypeError(f"the first argument is a model, as dashapp.load({DEMO!r}) gives one, not {model!r}")
    if model.training:  # and what dropout left over would be kept as the model's own
        raise ValueError("a model in training mode drops activations at random: call model.eval() first")


def _with_store(work: Callable[[Store | None], Made], settings: Settings | None, *, cache: bool) -> Made:
    """What `work` makes with the store that the settings name; without one, and a line in the log, where that fails."""
    if cache:
        settings = settings or Settings.read()
        try:
            return work(open_store(StoreAddress.of(settings)))
        except StoreUnavailable as error:
            logger.warning("Going on without a cache. %s", error)
    return work(None)
