"""The panel that compares our model with Hugging Face's on the prompt on screen, when somebody asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from dashapp.analysis.table import Table, columns
from dashapp.errors import in_megabytes
from dashapp.experiments.results import Parity
from dashapp.figures.parity import differences
from dashapp.figures.theme import Frame
from dashapp.jobs.works import Work
from dashapp.model.memory import BYTES_PER_PARAMETER, WORKING_BYTES
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

NOT_YET: Final = "no"


def work(trace: Trace, *, compute: str) -> Work | None:
    """The comparison, once a dtype is chosen for it."""
    return None if compute == NOT_YET else Work(kind="parity", trace=trace.key, arguments={"dtype": compute})


def draw(trace: Trace, *, frame: Frame, compute: str, result: Mapping[str, np.ndarray] | None) -> Drawn:
    """The differences, or before that what the comparison will do."""
    parity = Parity.from_arrays(result) if result is not None else None
    figure = differences(parity, n_layer=trace.config.n_layer, frame=frame)
    return Drawn(figure=figure, foot=verdict(parity) if parity else offer(trace, compute))


def offer(trace: Trace, compute: str) -> str:
    """What will be done, and what it takes."""
    dtypes = ("float32", "float64") if compute == NOT_YET else (compute,)
    needed = [
        f"{in_megabytes(2 * trace.config.n_params * BYTES_PER_PARAMETER[each] + WORKING_BYTES)} in {each}"
        for each in dtypes
    ]
    tokens = f"{trace.n_tokens:,} token{'' if trace.n_tokens == 1 else 's'}"
    what = "Nothing is compared yet. Choose a number format to begin" if compute == NOT_YET else "Comparing"
    return (
        f"{what}: Hugging Face's code loads the same files, both models read these {tokens}, and every step is "
        f"compared. It takes about {' or '.join(needed)} of memory, and from some seconds to a minute."
    )


def verdict(parity: Parity) -> str:
    """What was found, in words and numbers."""
    pattern = float(parity.pattern.max())
    resid = int(np.argmax(parity.shares["resid"]))
    numbers = (
        f"Largest absolute differences: logits {parity.logits:.3g} (of values up to {parity.logits_scale:.3g}), "
        f"residual stream {parity.resid[resid]:.3g} (of {parity.resid_scale[resid]:.3g}), "
        f"attention weights {pattern:.3g}. "
        f"The likeliest next token is the same at {parity.n_same_top:,} of {parity.n_tokens:,} positions. "
        f"Took {parity.seconds:.3g} s."
    )
    share = f"more than {parity.tolerance:g} of the largest value"
    said = f"Passed in {parity.dtype}: no difference is {share}. {numbers}"
    if not parity.is_same:
        said = f"Failed in {parity.dtype}: a difference is {share}. {numbers} {remedy(parity)}"
    return said.replace("e-", "e−")  # 1e−11


def remedy(parity: Parity) -> str:
    """What a failure may mean, and how to tell."""
    if parity.dtype == "float32":
        return "Compare in float64: if the difference falls by nine digits, it was rounding."
    return "In float64 this is no rounding: one of the two computes something else."


def numbers(trace: Trace, *, result: Mapping[str, np.ndarray]) -> Table:
    """The largest difference in each place, and the largest value there."""
    parity, n_layer = Parity.from_arrays(result), trace.config.n_layer
    streams = ["stream of the embeddings", *(f"stream out of layer {layer}" for layer in range(n_layer))]
    places = [*streams, *(f"attention of layer {layer}" for layer in range(n_layer)), "logits"]
    measures = {
        "largest difference": np.concatenate([parity.resid, parity.pattern, [parity.logits]]),
        "largest value": np.concatenate([parity.resid_scale, np.ones(n_layer), [parity.logits_scale]]),
    }
    return columns(f"parity with Hugging Face in {parity.dtype}", "place", places, measures)


PARITY: Final = Panel(
    name="parity",
    title="Parity with Hugging Face",
    question="Does Hugging Face's GPT-2 compute the same numbers from the same files?",
    about=(
        "Hugging Face's code reads the files of this model by itself and computes the same prompt, and each step is "
        "compared with ours: the residual stream after the embeddings and after each layer, every attention weight, "
        "and the logits. A point is the largest difference in its place. It passes when none is larger than a share τ "
        "of the largest value there:",
        Formula("parity"),
        "Two programs add up in another order, and so their numbers differ by rounding, which grows with the numbers. "
        "The tolerance leaves room for that and for little else: τ is 10⁻⁴ in float32, twenty times what was seen, and "
        "10⁻¹¹ in float64, a thousand times (docs/numerics.md). A wrong GELU fails in both; an epsilon of 1.1·10⁻⁵ "
        "instead of 10⁻⁵ fails in float64.",
        "Source: Wolf et al. 2020, Transformers: State-of-the-Art Natural Language Processing.",
        "It does not show that either is what OpenAI trained, nor that other prompts agree; and when jobs compute in "
        "bfloat16, it is not that which is compared.",
    ),
    knobs=(
        Knob(
            name="compute",
            label="Compare in",
            options={
                NOT_YET: "not now",
                "float32": "float32, as usual",
                "float64": "float64, where rounding hides nothing",
            },
        ),
    ),
    draw=draw,
    numbers=numbers,
    work=work,
)
