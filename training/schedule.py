"""The phases of training and the learning rate over them. Knows shares of the time; knows no model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """One stretch of training.

    until: share of the whole time at which it ends. n_row, n_pos: shape of a batch. peak: learning rate
    before it falls. lesson_share, repeats_share: shares of the rows; the rest are windows of books.
    attention_factor: of the learning rate, for attention weights: at the full rate, a hundred steps from the start lost
    the induction heads.
    """

    name: str
    until: float
    n_row: int
    n_pos: int
    peak: float
    lesson_share: float
    repeats_share: float
    attention_factor: float


# Short windows for most of the time; then a few of the full length, which join positions that short ones do not.
PHASES = (
    Phase("short", 0.35, 12, 128, 2e-3, lesson_share=0.2, repeats_share=0.22, attention_factor=0.25),
    Phase("middle", 0.94, 8, 192, 2e-3, lesson_share=0.3, repeats_share=0.1, attention_factor=1.0),
    Phase("long", 1.0, 2, 1024, 1e-3, lesson_share=0.2, repeats_share=0.2, attention_factor=1.0),
)
WARM_UP_STEPS = 100
FLOOR = 0.05  # of the peak, at the end


def phase_at(progress: float) -> Phase:
    """The phase at a share of the whole time, 0 to 1."""
    return next((phase for phase in PHASES if progress < phase.until), PHASES[-1])


def learning_rate(progress: float, step: int) -> float:
    """Warm-up by steps, then the phase's peak, falling linearly over the last four fifths of the time."""
    fall = min(1.0, max(FLOOR, (1 - progress) / 0.8))
    return phase_at(progress).peak * fall * min(1.0, (step + 1) / WARM_UP_STEPS)
