"""A run as a file, as components: taken away and brought, in a fold of the prompt bar. 85-files.js fills them in."""

from __future__ import annotations

from functools import partial

from dash import html

from dashapp import ids
from dashapp.panels.panel import aria

SAYS = (
    "All that was recorded of the run on screen (its tokens and every layer's activations) in one safetensors file, to "
    "keep, to pass on, or to read in Python with dashapp.Trace.open. A run that is opened from a file is marked as "
    "such, for anybody can have written it, and can be checked against the weights here."
)


def file_fold(slot: ids.Slot) -> html.Details:
    """The fold: Download, Open, and what comes of them."""
    of = partial(ids.of, slot=slot)
    return html.Details(
        [
            html.Summary("File"),
            html.P(SAYS),
            html.Div(
                [
                    html.Button("Download this run", id=of(ids.FILE_TAKE), className="quiet", type="button"),
                    html.Button("Open a run from a file", id=of(ids.FILE_BRING), className="quiet", type="button"),
                    html.Button("Stop", id=of(ids.FILE_STOP), className="quiet", type="button", hidden=True),
                ],
                className="file-buttons",
            ),
            html.Progress(
                id=of(ids.FILE_BAR),
                value="0",
                max="1",
                className="bar",
                hidden=True,
                **aria(label="Progress of the file"),
            ),
            html.P(id=of(ids.FILE_SAID), role="status"),
        ],
        id=of(ids.FILE),
        className="file",
    )


def file_mark(slot: ids.Slot) -> html.Div:
    """What stands beside a run that came by a file, wherever it is shown."""
    of = partial(ids.of, slot=slot)
    return html.Div(
        [
            html.Strong("From a file; not computed here."),
            html.Span(id=of(ids.FILE_VERDICT), role="status"),
            html.Button("Check it", id=of(ids.FILE_CHECK), className="quiet", type="button", hidden=True),
            html.Details([html.Summary("What was compared"), html.P()], id=of(ids.FILE_COMPARED), hidden=True),
        ],
        id=of(ids.FILE_MARK),
        className="file-mark",
        hidden=True,
    )
