"""The phases of training and the learning rates over them. Knows shares of the time; knows no model."""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, int]  # rows, tokens a row


@dataclass(frozen=True)
class Phase:
    """One stretch of training.

    until: share of the whole time at which it ends. books, lessons, repeats: rows of each kind in a batch.
    """

    name: str
    until: float
    books: Shape
    lessons: Shape
    repeats: Shape


# The first phase keeps the sketched heads working while the embeddings find their places. Lessons come in short rows,
# so that a sentence is most of what its last token can look at. Long rows join positions that are far apart; the last
# ones, with many repeats, bring back what the lessons took from the induction heads.
PHASES = (
    Phase("start", 0.12, books=(8, 96), lessons=(6, 64), repeats=(6, 96)),
    Phase("lessons", 0.62, books=(8, 192), lessons=(14, 64), repeats=(2, 128)),
    Phase("books", 0.92, books=(7, 256), lessons=(12, 64), repeats=(2, 128)),
    Phase("long", 0.95, books=(2, 1024), lessons=(10, 64), repeats=(2, 200)),
    Phase("last", 1.0, books=(4, 512), lessons=(10, 64), repeats=(4, 200)),
)
# Muon: attention, then the MLP's two. At 0.01 for all, a hundred steps wore the induction heads down.
MATRIX_RATES = (0.004, 0.006, 0.006)
OTHER_RATE = 1.5e-3  # Adam: embeddings, norms, biases
WARM_UP_STEPS = 100
FALL = 0.6  # share of the time over which the rates fall to zero


def phase_at(progress: float) -> Phase:
    """The phase at a share of the whole time, 0 to 1."""
    return next((phase for phase in PHASES if progress < phase.until), PHASES[-1])


def rate_factor(progress: float, step: int) -> float:
    """Share of the peak rates: warm-up by steps, then flat, then a straight fall to zero at the end of the time."""
    return min(1.0, max(0.0, (1 - progress) / FALL)) * min(1.0, (step + 1) / WARM_UP_STEPS)
