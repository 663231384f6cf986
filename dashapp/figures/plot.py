"""Figures as plain dicts, put together with Plotly's words and without its objects.

Plotly's own look at every property as it is set took two thirds of the time of a panel's answer. That each figure of
each panel is one that Plotly takes as it stands is a test instead (`tests/panels/test_plot.py`). Knows NumPy and JSON;
knows nothing of what is drawn.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

import numpy as np

# Of Plotly's usual template, by which every figure was drawn, what our kinds of traces have of it.
_AXIS: Final = {"automargin": True, "ticks": "", "title": {"standoff": 15}, "zerolinewidth": 2}
_AXIS_IN_SPACE: Final = {"gridwidth": 2, "linecolor": "white", "ticks": ""}
_COLOURS: Final = {"outlinewidth": 0, "ticks": ""}
_BAR: Final = {
    "line": {"color": "#E5ECF6", "width": 0.5},
    "pattern": {"fillmode": "overlay", "size": 10, "solidity": 0.2},
}
TEMPLATE: Final[dict[str, Any]] = {
    "layout": {
        "annotationdefaults": {"arrowcolor": "#2a3f5f", "arrowhead": 0, "arrowwidth": 1},
        "autotypenumbers": "strict",
        "hovermode": "closest",
        "scene": {"xaxis": _AXIS_IN_SPACE, "yaxis": _AXIS_IN_SPACE, "zaxis": _AXIS_IN_SPACE},
        "shapedefaults": {"line": {"color": "#2a3f5f"}},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
    },
    "data": {
        "bar": [{"type": "bar", "marker": _BAR}],
        "heatmap": [{"type": "heatmap", "colorbar": _COLOURS}],
        "scatter3d": [{"type": "scatter3d", "marker": {"colorbar": _COLOURS}}],
        "scattergl": [{"type": "scattergl", "marker": {"colorbar": _COLOURS}}],
    },
}

WITH_A_STROKE: Final = frozenset({"paper_bgcolor", "plot_bgcolor", "error_x", "error_y"})  # in their own names
WHOLE: Final = frozenset({"meta", "template"})  # replaced, never merged

# Types of arrays as plotly.js knows them.
CODES: Final = {"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"}
CODES_OF_FLOATS: Final = {"float32": "f4", "float64": "f8"}
NARROWER: Final = {"i": ("int8", "int16", "int32"), "u": ("uint8", "uint16", "uint32")}


class Part(dict[str, Any]):
    """A part of a figure. What it has are attributes too, None where it has nothing; a list is read as a tuple.

    `update` merges: a dict into the part of its name, `title_text=…` into `text` of `title`; None takes away.
    """

    __slots__ = ()

    def __init__(self, properties: Mapping[str, Any] | None = None, **more: Any) -> None:
        super().__init__()
        self.update(properties, **more)

    def __missing__(self, name: str) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        value = self.get(name)
        return tuple(value) if isinstance(value, list) else value

    def __setattr__(self, name: str, value: Any) -> None:
        self._put(name, value)

    def update(self, properties: Mapping[str, Any] | None = None, **more: Any) -> None:  # type: ignore[override]
        """Merge properties into this part."""
        for name, value in {**(properties or {}), **more}.items():
            self._put(name, value)

    def _put(self, name: str, value: Any) -> None:
        if name not in WITH_A_STROKE and "_" in name:
            name, _, below = name.partition("_")
            value = {below: value}
        if value is None:
            self.pop(name, None)
        elif name in WHOLE:
            self[name] = value
        elif isinstance(value, Mapping):
            self.setdefault(name, Part()).update(value)
        elif isinstance(value, (list, tuple)) and value and isinstance(value[0], Mapping):
            self[name] = [Part(each) for each in value]
        else:
            self[name] = value


class Trace(Part):
    """One kind of marks. `kind`: as plotly.js calls it."""

    __slots__ = ()
    kind: str

    def __init__(self, properties: Mapping[str, Any] | None = None, **more: Any) -> None:
        super().__init__(properties, **more)
        self["type"] = self.kind


class Bar(Trace):
    """Bars."""

    __slots__ = ()
    kind = "bar"


class Heatmap(Trace):
    """Cells with colours."""

    __slots__ = ()
    kind = "heatmap"


class Scatter(Trace):
    """Points and lines."""

    __slots__ = ()
    kind = "scatter"


class Scattergl(Trace):
    """Very many points."""

    __slots__ = ()
    kind = "scattergl"


class Scatter3d(Trace):
    """Points and lines in space."""

    __slots__ = ()
    kind = "scatter3d"


class Figure:
    """Traces and a layout, as `plotly.graph_objects.Figure` has them: `go.Figure(figure.as_dict())` is that."""

    def __init__(self, traces: Iterable[Trace] = (), layout: Mapping[str, Any] | None = None) -> None:
        self.data: tuple[Trace, ...] = tuple(traces)
        self.layout = Part({"template": TEMPLATE}) if layout is None else Part(layout)

    def copy(self) -> Figure:
        """The same parts anew, with the same arrays."""
        return Figure((type(trace)(trace) for trace in self.data), self.layout)

    def add_trace(self, trace: Trace) -> Self:
        """One more trace, over the others."""
        self.data += (trace,)
        return self

    def add_annotation(self, **properties: Any) -> Self:
        """One more text."""
        return self._add("annotations", properties)

    def add_shape(self, **properties: Any) -> Self:
        """One more line or box."""
        return self._add("shapes", properties)

    def add_layout_image(self, **properties: Any) -> Self:
        """One more picture."""
        return self._add("images", properties)

    def update_layout(self, properties: Mapping[str, Any] | None = None, **more: Any) -> Self:
        """Merge properties into the layout."""
        self.layout.update(properties, **more)
        return self

    def update_xaxes(self, **properties: Any) -> Self:
        """Merge properties into every axis along x."""
        return self._update_axes("xaxis", properties)

    def update_yaxes(self, **properties: Any) -> Self:
        """Merge properties into every axis along y."""
        return self._update_axes("yaxis", properties)

    def as_dict(self) -> dict[str, Any]:
        """Traces and layout, arrays as they are."""
        return {"data": [*self.data], "layout": self.layout}

    def to_plotly_json(self) -> dict[str, Any]:
        """The same as plotly.js reads it; Dash asks for it by this name."""
        return {"data": [_as_sent(trace) for trace in self.data], "layout": _as_sent(self.layout)}

    def to_json(self) -> str:
        """The same as text, as Dash writes it."""
        from plotly.io.json import to_json_plotly  # who only makes figures need not wait for it

        text: str = to_json_plotly(self)
        return text

    def _add(self, kind: str, properties: Mapping[str, Any]) -> Self:
        self.layout[kind] = [*self.layout.get(kind, ()), Part(properties)]
        return self

    def _update_axes(self, kind: str, properties: Mapping[str, Any]) -> Self:
        for name in [name for name in self.layout if re.fullmatch(rf"{kind}\d*", name)]:
            self.layout[name].update(properties)
        return self


def _as_sent(value: Any) -> Any:
    """A part with its arrays as plotly.js reads them."""
    if isinstance(value, np.ndarray):
        return typed(value)
    if isinstance(value, Mapping):
        return {
            name: below.tolist() if name == "range" and isinstance(below, np.ndarray) else _as_sent(below)
            for name, below in value.items()
        }
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], (Mapping, np.ndarray)):
        return [_as_sent(each) for each in value]
    return value


def typed(array: np.ndarray) -> dict[str, str] | list[Any]:
    """An array's bytes with type and shape, as plotly.js takes them; a list of what has no such type.

    Integers of 64 bits become the narrowest type that holds them all.
    """
    if not array.size:
        return array.tolist()
    if array.dtype.itemsize == 8 and array.dtype.kind in NARROWER:
        low, high = array.min(), array.max()
        held = (name for name in NARROWER[array.dtype.kind] if np.iinfo(name).min <= low and high <= np.iinfo(name).max)
        array = array.astype(next(held, array.dtype))
    code = (CODES | CODES_OF_FLOATS).get(array.dtype.name)
    if code is None:
        return array.tolist()
    sent = {"dtype": code, "bdata": base64.b64encode(array.tobytes()).decode("ascii")}
    return sent if array.ndim == 1 else sent | {"shape": ", ".join(str(n) for n in array.shape)}
