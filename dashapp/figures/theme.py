"""Every colour of the app in one table, for figures and stylesheet, and the frame that all figures share.

Contrast of `ink`, `muted` and the texts on buttons with what they stand on is at least 4.5:1, of marks 3:1 (tested).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Final, Literal

from dashapp.figures import plot

ThemeName = Literal["light", "dark"]
Units = Literal["bits", "nats"]
ColourScale = list[tuple[float, str]]  # as Plotly takes it: place from 0 to 1 → colour

SANS: Final = "Inter, system-ui, sans-serif"
MONO: Final = "'JetBrains Mono', ui-monospace, monospace"
TEXT_SIZE: Final = 14
UNITS: Final[tuple[Units, ...]] = ("bits", "nats")  # of information; the first unless a person wants others
LEAST_TOLD: Final = 1e-3  # of information; less is only called so
TEXT_FACTORS: Final = (1, 1.25, 1.5, 2)  # how much larger a person may have all text
NARROWEST, NARROW = 358, 568  # pixels that a figure has in the narrowest window: of a telephone, and of any other
RIGHT: Final = 16  # pixels, at most, right of a figure's axes
NUMBER: Final = 54  # pixels that "−0.00447" takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """paper: the ground. raised: of fields and buttons. ink, muted: texts. hairline: rules between things.

    edge: borders of what can be operated. selection: the one amber. slot_a, slot_b: the two prompts.
    amount: bars and cells of probability. alarm: failures.
    """

    paper: str
    raised: str
    ink: str
    muted: str
    hairline: str
    edge: str
    selection: str
    slot_a: str
    slot_b: str
    amount: str
    alarm: str


THEMES: Final[dict[ThemeName, Theme]] = {
    "light": Theme(
        paper="#ffffff",
        raised="#f4f5f7",
        ink="#1b1f24",
        muted="#59626d",
        hairline="#d9dde2",
        edge="#7b8490",
        selection="#b26a00",
        slot_a="#1f5fb4",
        slot_b="#c2410c",
        amount="#4a6fa5",
        alarm="#b3261e",
    ),
    "dark": Theme(
        paper="#14171b",
        raised="#1f242a",
        ink="#e6e9ed",
        muted="#a0a9b4",
        hairline="#333a42",
        edge="#79838f",
        selection="#f5a623",
        slot_a="#7fb2f5",
        slot_b="#ff9a66",
        amount="#7c9cc9",
        alarm="#ff8a80",
    ),
}


# Amounts from none to most, in even steps of lightness.
AMOUNTS: Final[dict[ThemeName, tuple[str, ...]]] = {
    "light": ("#ffffff", "#c0cfe6", "#809dca", "#4a6fa5", "#1f4480"),
    "dark": ("#14171b", "#2e405c", "#5673a0", "#8fadd6", "#dbe8fa"),
}


def per_bit(units: Units) -> float:
    """How many of these units are a bit: 1, or ln 2 nats."""
    return 1.0 if units == "bits" else math.log(2)


def per_nat(units: Units) -> float:
    """How many of these units are a nat: 1, or 1 / ln 2 bits."""
    return per_bit(units) / math.log(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What a figure must know of the page around it. is_narrow: a telephone's width, where fewer labels fit.

    text: by how much `enlarged` will make the figure larger, for those where this decides what fits. units: in which
    surprisal, entropy and divergence are told.
    """

    theme: ThemeName
    is_narrow: bool = False
    text: float = 1
    units: Units = "bits"

    @property
    def per_bit(self) -> float:
        """How many of its units are a bit."""
        return per_bit(self.units)

    def of_nats(self, nats: float) -> float:
        """Nats in its units."""
        return nats * per_nat(self.units)

    def information(self, bits: float) -> str:
        """An amount of information with three digits and its unit: "2.35 bits", "less than 0.001 nats"."""
        amount = bits * self.per_bit
        if 0 < abs(amount) < LEAST_TOLD:
            return f"less than 0.001 {self.units}"
        said = f"{amount:.3g}"
        return f"{said} {self.units.removesuffix('s') if said == '1' else self.units}"

    @property
    def colours(self) -> Theme:
        return THEMES[self.theme]

    @property
    def log(self) -> str:
        """The logarithm that gives its unit."""
        return "log₂" if self.units == "bits" else "ln"

    @property
    def amount_scale(self) -> ColourScale:
        """For what has no sign: the paper's colour at 0, then ever further from it."""
        return [(i / 4, colour) for i, colour in enumerate(AMOUNTS[self.theme])]

    @property
    def signed_scale(self) -> ColourScale:
        """For what has a sign, and for differences: slot b's colour, the paper at 0, slot a's. Centre it on 0."""
        colours = self.colours
        return [(0.0, colours.slot_b), (0.5, colours.paper), (1.0, colours.slot_a)]


def css_variables() -> str:
    """The tables as a stylesheet: `--paper`, `--ink`, … and `--amounts-0` to `--amounts-4` for each theme."""
    blocks = []
    for name, theme in THEMES.items():
        rows = "".join(f"--{role.replace('_', '-')}:{colour};" for role, colour in asdict(theme).items())
        rows += "".join(f"--amounts-{i}:{colour};" for i, colour in enumerate(AMOUNTS[name]))
        blocks.append(f'[data-bs-theme="{name}"]{{{rows}color-scheme:{name};}}')
    return "".join(blocks)


def framed(*traces: plot.Trace, frame: Frame, height: int, summary: str) -> plot.Figure:
    """A figure in the house's frame: no ground of its own, the same margins, the app's type.

    summary: what the figure shows in one sentence, kept in its metadata for screen readers.
    """
    colours = frame.colours
    figure = plot.Figure(traces)
    axis = {
        "gridcolor": colours.hairline,
        "linecolor": colours.hairline,
        "zerolinecolor": colours.hairline,
        "tickfont": {"color": colours.ink},
        "title": {"font": {"color": colours.muted, "size": TEXT_SIZE - 1}},
    }
    figure.update_layout(
        height=height,
        margin={"l": 56, "r": 16, "t": 8, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": SANS, "size": TEXT_SIZE - 1, "color": colours.ink},
        hoverlabel={
            "bgcolor": colours.raised,
            "bordercolor": colours.edge,
            "font": {"family": SANS, "size": TEXT_SIZE - 1, "color": colours.ink},
            "align": "left",
        },
        showlegend=False,
        dragmode="zoom",
        meta={"summary": summary},
        xaxis=axis,
        yaxis=axis,
    )
    return figure


def unfilled(frame: Frame, *, height: int, summary: str) -> plot.Figure:
    """The frame of a figure that is not there yet: without axes, which would have made-up numbers."""
    figure = framed(frame=frame, height=height, summary=summary)
    return figure.update_xaxes(visible=False).update_yaxes(visible=False)


def room_for_numbers(low: float, high: float, *, left: int, frame: Frame) -> list[float]:
    """The range of an axis of lying bars from `low` to `high`, 0 between them, with a number at the end of each.

    left: pixels of the figure's left margin. The room is what a number needs in the narrowest window of its kind.
    """
    width = (NARROWEST if frame.is_narrow else NARROW) - (left + RIGHT) * frame.text
    share = 0.4 if width <= 0 else min(0.4, NUMBER * frame.text / width)
    room = share * (high - low) / (1 - share * ((low < 0) + (high > 0)))
    return [low - room * (low < 0), high + room]


def enlarged(figure: plot.Figure, factor: float) -> plot.Figure:
    """A figure with text so many times larger, and as much more room for it: margins and height grow with it."""
    if factor == 1:
        return figure
    layout = figure.layout
    layout.update(height=round(layout.height * factor))
    layout.update(margin={side: round(value * factor) for side, value in layout.margin.items()})
    for part in (layout, *figure.data):
        _enlarge_fonts(part, factor)
    return figure


def _enlarge_fonts(part: plot.Part, factor: float) -> None:
    """Multiply every size of a font in a part of a figure."""
    for name, value in part.items():
        if isinstance(value, plot.Part):
            if name.endswith("font") and "size" in value:
                value.update(size=value.size * factor)
            _enlarge_fonts(value, factor)
        elif isinstance(value, list) and value and isinstance(value[0], plot.Part):
            for each in value:  # annotations
                _enlarge_fonts(each, factor)
