"""What the cache keeps, how much of it, and a way to clear it, which asks once, in place."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

from dash import Input, Output, callback, ctx, html
from dash.exceptions import PreventUpdate

from dashapp import ids
from dashapp.errors import StoreError, in_megabytes
from dashapp.panels.panel import aria
from dashapp.panels.source import Source
from dashapp.store.contract import Store, StoreAddress, StoreStats

KEPT: Final = (
    "Kept are traces (what the model did at each token), runs (the tokens and the settings that drew them), results of "
    "longer computations and runs that came as files. "
)
KEPT_HERE: Final = (
    "Prompts are private: all of it lies in {folder} on the machine that runs the app, readable by its owner alone, "
    "and nothing is sent anywhere. When it is full, what was not used for the longest time goes first."
)
NOT_CLEARED: Final = "Links that hold a very long prompt keep it; on the command line, {command} removes those too."
KEPT_FAR: Final = (
    "Prompts are private: all of it lies in the object store {url}, and copies of what was looked at in {folder} on "
    "each machine that serves. Who else may read it, and how long it is kept, is for whoever runs the object store to "
    "say."
)
EVERYBODY: Final = "It clears them for everybody who uses this server."


def layout(source: Source) -> html.Section:
    """What is held now, and the buttons."""
    return html.Section(
        [
            html.H2("Cache", id="cache-title"),
            html.P("What is kept of the prompts, and where?", className="question"),
            html.P(held_by(source.store), id=ids.CACHE_HELD),
            html.P(kept(source.store.address), className="foot"),
            html.P(not_cleared(source.store.address), className="foot"),
            html.Div(
                [
                    html.Button("Clear the cache", id=ids.CACHE_CLEAR, className="quiet", type="button"),
                    html.Span(id=ids.CACHE_QUESTION, role="status"),
                    html.Button("Yes, clear", id=ids.CACHE_YES, className="quiet", type="button", hidden=True),
                    html.Button("No", id=ids.CACHE_NO, className="quiet", type="button", hidden=True),
                    html.Button(
                        "Compute this prompt again", id=ids.CACHE_AGAIN, className="quiet", type="button", hidden=True
                    ),
                ],
                className="cache-buttons",
            ),
        ],
        className="panel cache",
        **aria(labelledby="cache-title"),
    )


@callback(
    Output(ids.CACHE_HELD, "children"),
    Output(ids.CACHE_QUESTION, "children"),
    Output(ids.CACHE_CLEAR, "hidden"),
    Output(ids.CACHE_YES, "hidden"),
    Output(ids.CACHE_NO, "hidden"),
    Output(ids.CACHE_AGAIN, "hidden"),
    Input(ids.CACHE_CLEAR, "n_clicks"),
    Input(ids.CACHE_YES, "n_clicks"),
    Input(ids.CACHE_NO, "n_clicks"),
    Input(ids.CACHE_AGAIN, "n_clicks"),
    prevent_initial_call=True,
)
def answer(*n_clicks: int | None) -> tuple[str, str, bool, bool, bool, bool]:
    """The question after the first press, what was done after the second."""
    if not any(n_clicks):
        raise PreventUpdate
    store = Source.here().store
    before = store.stats()
    if ctx.triggered_id == ids.CACHE_CLEAR:
        return held(before), question(before), True, False, False, True
    if ctx.triggered_id == ids.CACHE_YES:
        store.clear()
        return held(store.stats()), cleared(before), False, True, True, False
    return held(before), "", False, True, True, True


def held_by(store: Store) -> str:
    """How much a store holds, or why that cannot be told."""
    try:
        return held(store.stats())
    except StoreError as error:
        return str(error)


def kept(address: StoreAddress) -> str:
    """What is kept, and where."""
    folder = said_folder(address.folder)
    where = KEPT_HERE if address.url is None else KEPT_FAR
    return KEPT + where.format(url=address.url, folder=folder)


def held(stats: StoreStats) -> str:
    """How much there is, of how much there may be."""
    at_least = "" if stats.is_all else "at least "
    limit = "" if stats.limit_bytes is None else f" of at most {in_megabytes(stats.limit_bytes)}"
    return f"{_counted(stats)}: {at_least}{in_megabytes(stats.size_bytes)}{limit}."


def question(stats: StoreStats) -> str:
    """What is asked before anything is removed."""
    return f"Clear {_counted(stats)} ({in_megabytes(stats.size_bytes)})? {EVERYBODY}"


def cleared(before: StoreStats) -> str:
    """What was removed, and what that means for the pages."""
    return (
        f"Cleared {_counted(before)}, {in_megabytes(before.size_bytes)}. What is drawn stays until it is drawn anew; "
        "then the pages say that it is gone."
    )


def not_cleared(address: StoreAddress) -> list[str | html.Code]:
    """What clearing leaves, and the command that removes it, as it must be typed for this store."""
    before, after = NOT_CLEARED.split("{command}")
    flags = {"--cache-dir": str(address.folder), "--store": address.url, "--store-endpoint": address.endpoint}
    said = [f"{flag} {shlex.quote(value)}" for flag, value in flags.items() if value is not None]
    return [before, html.Code(" ".join(["dashapp cache --clear", *said])), after]


def said_folder(folder: Path) -> str:
    """A folder as people write it, home as ~."""
    home = Path.home()
    return f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) and folder != home else str(folder)


def _counted(stats: StoreStats) -> str:
    more = "" if stats.is_all else "+"
    counts = ((stats.n_traces, "trace"), (stats.n_runs, "run"), (stats.n_results, "result"), (stats.n_files, "file"))
    *others, last = (f"{n:,}{more} {word}{'' if n == 1 else 's'}" for n, word in counts)
    return f"{', '.join(others)} and {last}"
