"""The panel of all checks of the loaded weights, when somebody asks for it; `checks_table` shows each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from dashapp.analysis.heads import GPT2_SMALL_LOSS, has_gpt2_small_shape
from dashapp.analysis.table import Table, columns
from dashapp.experiments.checks import OF_TRACE, Checks, Row, Verdict, rows
from dashapp.experiments.orders import seconds_for
from dashapp.experiments.published import orders_of_patching
from dashapp.figures.checks import differences
from dashapp.figures.theme import Frame
from dashapp.jobs.works import Work
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Drawn, Knob, Panel
from dashapp.traces.record import Trace

NOT_YET: Final = "no"

# Of one check, and of several.
IN_NUMBERS: Final[Mapping[Verdict, tuple[str, str]]] = {
    "pass": ("passes", "pass"),
    "fail": ("fails", "fail"),
    "does not apply": ("does not apply", "do not apply"),
    "not asked for": ("was not asked for", "were not asked for"),
}


def work(trace: Trace, *, depth: str) -> Work | None:
    """The checks, once somebody says which."""
    return None if depth == NOT_YET else Work(kind="checks", trace=trace.key, arguments={"depth": depth})


def draw(trace: Trace, *, frame: Frame, depth: str, result: Mapping[str, np.ndarray] | None) -> Drawn:
    """All differences at a glance, or before that what the checks will take."""
    checks = Checks.from_arrays(result) if result is not None else None
    figure = differences(rows(checks, dtype=trace.dtype), frame=frame)
    return Drawn(figure=figure, foot=verdict(checks) if checks else offer(trace, depth))


def offer(trace: Trace, depth: str) -> str:
    """What will be done, and what it takes."""
    begun = {NOT_YET: "Nothing is checked yet. Choose which checks to run", "quick": "Checking", "all": "Checking"}
    said = (
        f"{begun[depth]}: {len([row for row in rows(None) if row.group == OF_TRACE])} identities are "
        f"computed again from this trace and its weights, which takes some seconds. "
    )
    if not has_gpt2_small_shape(trace):
        return f"{said}The published numbers do not apply: these weights have another shape than GPT-2 small."
    published = "If the weights lose what GPT-2 small loses, its published numbers are computed, in about a minute"
    return f"{said}{published}; all checks include patching maps, {patching_cost(trace)}."


def patching_cost(trace: Trace) -> str:
    """How much the maps of patching are: passes, and about how long here."""
    orders = orders_of_patching(trace.config)
    seconds = sum(seconds_for(order, d_vocab=trace.config.d_vocab) for order in orders)
    return f"{sum(order.n_passes for order in orders):,} passes and about {max(1, round(seconds / 60)):,} min more"


def verdict(checks: Checks) -> str:
    """What was found, in words and numbers."""
    found = rows(checks)
    counts = {each: sum(row.verdict == each for row in found) for each in IN_NUMBERS}
    words = [f"{count:,} {IN_NUMBERS[each][count != 1]}" for each, count in counts.items() if count]
    failed = [row.what for row in found if row.verdict == "fail"]
    begins = f"Failed: {'; '.join(failed)}. " if failed else "Nothing failed. "
    return f"{begins}Of {len(found)} checks: {', '.join(words)}. {recognised(checks)} Took {checks.seconds:.3g} s."


def recognised(checks: Checks) -> str:
    """Whether the published numbers are about these weights, and how that is known."""
    match checks.applies:
        case "yes":
            return (
                "These are the published weights of GPT-2 small, by their shape and their loss of "
                f"{checks.loss:.5f} nats a token on “Hello world!”."
            )
        case "other loss":
            return (
                f"The published numbers do not apply: these weights lose {checks.loss:.5f} nats a token on “Hello "
                f"world!”, the published ones {GPT2_SMALL_LOSS}."
            )
        case "other shape":
            return "The published numbers do not apply: these weights have another shape than GPT-2 small."


def numbers(trace: Trace, *, result: Mapping[str, np.ndarray]) -> Table:
    """Every check that was computed: the largest difference, and how large it may be; NaN where none was computed."""
    found = rows(Checks.from_arrays(result))
    differences_found = [np.nan if row.difference is None else row.difference for row in found]
    measures = {
        "largest difference": np.array(differences_found),
        "allowed": np.array([row.tolerance for row in found]),
        "passes (1), fails (0)": np.array([_as_number(row) for row in found]),
    }
    return columns(f"checks of {trace.model_name}", "check", _names(found), measures)


def _as_number(row: Row) -> float:
    return {"pass": 1.0, "fail": 0.0}.get(row.verdict, float("nan"))


def _names(found: Sequence[Row]) -> list[str]:
    return [f"{row.group}: {row.what}" for row in found]


CHECKS: Final = Panel(
    name="checks",
    title="Checks of these weights",
    question="Does what is on screen hold together, and are these the published weights?",
    about=(
        "Identities: what must be equal in any GPT-2 is computed a second time from this prompt’s trace, by NumPy in "
        "place of torch: that the residual stream is the sum of what is written into it, that rows of attention sum to "
        "1, that direct attributions add up to a logit. A difference is told as a share of the largest value in its "
        "place, and passes below 10⁻⁴; 0.05 where jobs compute in bfloat16, which has 8 bits. Among them is the sum:",
        Formula("residual"),
        "Hugging Face: what the panel of parity compares, in float32, in three lines.",
        "Published numbers: what TransformerLens’ notebooks and tests print for GPT-2 small, computed by this program "
        "with these weights: losses, next tokens, head scores, logit lens, attributions, ablations, patching maps. The "
        "weights are recognised by what they compute: the sizes of GPT-2 small, and its loss of 5.33186 ± 0.00004 nats "
        "a token on “Hello world!” after <|endoftext|>. For any other weights these checks do not apply.",
        "Left out are numbers that depend on a run’s random draw (induction scores of Main_Demo and of distilgpt2) and "
        "the neurons that one notebook lists, whose convention it does not state.",
        "Sources: Nanda & Bloom 2022, TransformerLens; Wang et al. 2022; Elhage et al. 2021.",
        "A check that passes does not show that an interpretation is right, nor that other prompts pass.",
    ),
    knobs=(
        Knob(
            name="depth",
            label="Check",
            options={
                NOT_YET: "nothing now",
                "quick": "the trace and published numbers",
                "all": "everything, with Hugging Face and patching maps",
            },
        ),
    ),
    draw=draw,
    numbers=numbers,
    work=work,
)
