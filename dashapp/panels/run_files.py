"""Files of runs in words: what one is called, whether it can be checked here, and what a check has found."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from dashapp.analysis.same_trace import SameTrace
from dashapp.model.tokenizer import END_OF_TEXT_ID, decode
from dashapp.model.weights import Weights
from dashapp.traces.metadata import RunTold
from dashapp.traces.record import Trace

LONGEST_SLUG: Final = 40  # characters of a file's name


def file_name(trace: Trace, run: RunTold) -> str:
    """A name that says whose run it is: the model, how the prompt begins, and digits that tell it from others."""
    ids = [token for token in trace.token_ids[: run.n_prompt].tolist() if token != END_OF_TEXT_ID]
    words = re.sub(r"[^A-Za-z0-9]+", "-", f"{trace.model_name} {decode(ids)}").strip("-")
    if len(words) > LONGEST_SLUG:
        words = words[:LONGEST_SLUG].rpartition("-")[0] or words[:LONGEST_SLUG]
    return f"run-{words or 'of-a-prompt'}-{trace.key[:8]}.safetensors"


def absent(trace: Trace) -> str:
    """Its weights are not here."""
    return (
        f"The weights that it names ({trace.model_name!r}, fingerprint {trace.fingerprint[:12]}) are not on this "
        "server: it cannot be checked, and figures that need weights say so."
    )


def unchecked(weights: Weights) -> str:
    """They are."""
    return f"The weights that it names are here ({weights.name!r}), and can run its tokens again."


def verdict(found: SameTrace, weights: Weights) -> str:
    """What came of a check."""
    if found.is_same:
        return f"it is what {weights.name!r} computes from its tokens."
    return f"it is not what {weights.name!r} computes from its tokens: it was changed, or made by other weights."


def compared(found: SameTrace, weights: Weights) -> str:
    """What was compared in a check, and how far apart it was."""
    worst = int(np.argmax(found.logits))
    return (
        f"{weights.name!r} (fingerprint {weights.fingerprint[:12]}) ran the tokens of the file again in {found.dtype}. "
        f"Logits after each of the {len(found.logits):,} tokens differ by at most {_small(found.logits[worst])}, after "
        f"token {worst}; {_small(found.tolerance * found.logits_scale)} is allowed for rounding. Of the "
        f"{len(found.numbers)} tensors of activations and statistics, {found.farthest!r} differs most: by "
        f"{_small(found.numbers.max())} of its largest value, and {_small(found.tolerance)} is allowed. Likeliest "
        f"tokens that these logits do not give: {found.n_top:,}; ranks that they do not give: "
        f"{found.n_ranks:,}; largest difference of a head's small picture: {_small(found.thumbnail)} of full."
    )


def _small(value: float) -> str:
    """A small number as people write it: 0, 3.2e−5."""
    digits, _, exponent = f"{value:.1e}".partition("e")
    return "0" if value == 0 else f"{digits}e{int(exponent)}".replace("-", "−")
