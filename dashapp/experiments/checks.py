"""Checks of loaded weights as results: what was expected, what was found, and the verdict on each. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

import numpy as np

from dashapp.analysis.identities import SAID, TOLERANCE
from dashapp.experiments.published import Published, published
from dashapp.experiments.results import PARITY_TOLERANCE

Depth = Literal["quick", "all"]
Verdict = Literal["pass", "fail", "does not apply", "not asked for"]
Applies = Literal["yes", "other shape", "other loss"]

OF_TRACE: Final = "This trace"
OF_LARGEST: Final = "of the largest value"  # the unit of what is a share of it
HUGGING_FACE: Final = "Hugging Face"
PARITY: Final[Mapping[str, str]] = {
    "parity-resid": "The residual stream is Hugging Face’s",
    "parity-pattern": "Attention weights are Hugging Face’s",
    "parity-logits": "Logits are Hugging Face’s",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What was found. found: float64 by name, a share of the largest value for identities and parity, otherwise as
    `published` has it.

    dtype: that the trace was computed in. applies: whether the weights are the published ones, or what is other.
    loss: on “Hello world!” after BOS, NaN where that was not computed. seconds: all together.
    """

    depth: Depth
    dtype: str
    applies: Applies
    loss: float
    seconds: float
    found: Mapping[str, np.ndarray] = field(default_factory=dict)

    def arrays(self) -> dict[str, np.ndarray]:
        """The result as arrays, to be kept."""
        choices = (get_args(Depth).index(self.depth), get_args(Applies).index(self.applies))
        numbers = np.array([*choices, [*TOLERANCE].index(self.dtype), self.loss, self.seconds])
        return {"numbers": numbers, **{f"found.{name}": np.asarray(each) for name, each in self.found.items()}}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Checks:
        """The result that `arrays` gave."""
        depth, applies, dtype, loss, seconds = (float(number) for number in arrays["numbers"])
        names = [name for name in arrays if name.startswith("found.")]
        return cls(
            depth=get_args(Depth)[int(depth)],
            applies=get_args(Applies)[int(applies)],
            dtype=[*TOLERANCE][int(dtype)],
            loss=loss,
            seconds=seconds,
            found={name.removeprefix("found."): arrays[name] for name in names},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One check. difference: the largest at any place, None where nothing was computed; place: its index there.

    expected, found: float64 of one shape; of an identity and of parity, expected is 0, a share of the largest value.
    """

    name: str
    group: str
    what: str
    unit: str
    axes: str
    convention: str
    expected: np.ndarray
    found: np.ndarray | None
    tolerance: float
    verdict: Verdict

    @property
    def difference(self) -> float | None:
        """The largest absolute difference at any place, or None."""
        return None if self.found is None else float(np.abs(self.found - self.expected).max())

    @property
    def place(self) -> tuple[int, ...]:
        """Where the difference is largest, or where the largest expected value stands."""
        of = self.expected if self.found is None else self.found - self.expected
        return tuple(int(each) for each in np.unravel_index(int(np.abs(of).argmax()), of.shape))


def rows(checks: Checks | None, *, dtype: str = "float32") -> list[Row]:
    """Every check with its verdict, in the order of the table; without a result, what would be checked of a trace in
    this dtype."""
    dtype = checks.dtype if checks else dtype
    of_trace = [_of_share(name, OF_TRACE, what, TOLERANCE[dtype], checks) for name, what in SAID.items()]
    parity = [_of_share(name, HUGGING_FACE, what, PARITY_TOLERANCE["float32"], checks) for name, what in PARITY.items()]
    return [*of_trace, *parity, *(_of_published(each, checks) for each in published())]


def _of_share(name: str, group: str, what: str, tolerance: float, checks: Checks | None) -> Row:
    found = checks.found.get(name) if checks else None
    expected = np.zeros(())
    return Row(
        name=name,
        group=group,
        what=what,
        unit=OF_LARGEST,
        axes="",
        convention="",
        expected=expected,
        found=found,
        tolerance=tolerance,
        verdict=_verdict(expected, found, tolerance, "yes"),
    )


def _of_published(each: Published, checks: Checks | None) -> Row:
    found = checks.found.get(each.name) if checks else None
    applies = checks.applies if checks else "yes"
    return Row(
        name=each.name,
        group=each.group,
        what=each.what,
        unit=each.unit,
        axes=each.axes,
        convention=each.convention,
        expected=each.expected,
        found=found,
        tolerance=each.tolerance,
        verdict=_verdict(each.expected, found, each.tolerance, applies),
    )


def _verdict(expected: np.ndarray, found: np.ndarray | None, tolerance: float, applies: Applies) -> Verdict:
    """pass: no difference beyond the tolerance; a NaN is beyond any, and so is another shape."""
    if applies != "yes":
        return "does not apply"
    if found is None:
        return "not asked for"
    is_close = found.shape == expected.shape and bool(np.all(np.abs(found - expected) <= tolerance))
    return "pass" if is_close else "fail"
