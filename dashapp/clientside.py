"""Which functions of `assets/js` answer which components. No JavaScript stands here: the content policy refuses it."""

from __future__ import annotations

from dash import ALL, MATCH, ClientsideFunction, Input, Output, State, clientside_callback

from dashapp import ids

FORM = (ids.PROMPT, ids.MAX_NEW_TOKENS, ids.TEMPERATURE, ids.TOP_K, ids.TOP_P, ids.SEED, ids.BOS)


def register() -> None:
    """Register all of them; once, before the app is made."""
    _runs()
    _drawing()
    _panels()


def _runs() -> None:
    """From a press of a button to the state of a run."""
    clientside_callback(
        ClientsideFunction("shell", "start"),
        Output(ids.REQUEST, "data"),
        Output(ids.STOP, "data"),
        Output(ids.SELECTION, "data"),
        *(Output(field, "value") for field in FORM),
        Input(ids.GO, "n_clicks"),
        Input(ids.RETRY, "n_clicks"),
        Input(ids.RESTORE, "data"),
        *(State(field, "value") for field in FORM),
        State(ids.REQUEST, "data"),
        State(ids.RUN, "data"),
    )
    clientside_callback(
        ClientsideFunction("shell", "admitted"),
        Output(ids.ADMITTED, "data"),
        Input(ids.ANSWER, "data"),
        prevent_initial_call=True,
    )
    clientside_callback(  # without an Output, see `ids.FINISHED`
        ClientsideFunction("shell", "finished"), Input(ids.JOB_RESULT, "data"), prevent_initial_call=True
    )
    clientside_callback(
        ClientsideFunction("shell", "state"),
        Output(ids.RUN, "data"),
        Input(ids.REQUEST, "data"),
        Input(ids.ANSWER, "data"),
        Input(ids.PROGRESS, "data"),
        Input(ids.FINISHED, "data"),
        Input(ids.RUNNING, "data"),
        Input(ids.STOP, "data"),
        Input(ids.PULSE, "n_intervals"),
        State(ids.RUN, "data"),
        prevent_initial_call=True,
    )
    clientside_callback(
        ClientsideFunction("shell", "ask"),
        Output(ids.ASK, "data"),
        Input(ids.PULSE, "n_intervals"),
        State(ids.RUN, "data"),
        State(ids.REQUEST, "data"),
        prevent_initial_call=True,
    )


def _drawing() -> None:
    """From the state of a run and a selection to what stands in the shell."""
    clientside_callback(
        ClientsideFunction("shell", "draw"),
        Output(ids.GO, "children"),
        Output(ids.BAR, "hidden"),
        Output(ids.BAR, "value"),
        Output(ids.STATUS, "children"),
        Output(ids.FAILURE, "hidden"),
        Output(ids.FAILURE_TEXT, "children"),
        Output(ids.RETRY, "hidden"),
        Output(ids.PULSE, "disabled"),
        Input(ids.RUN, "data"),
        prevent_initial_call=True,
    )
    clientside_callback(
        ClientsideFunction("shell", "compareForm"),
        Output(ids.PROMPT_DIFFERS, "hidden"),
        Output(ids.SETTINGS_SUMMARY, "children"),
        *(Input(field, "value") for field in FORM),
        Input(ids.REQUEST, "data"),
        prevent_initial_call=True,
    )
    clientside_callback(
        ClientsideFunction("shell", "select"),
        Output(ids.SELECTION_TEXT, "children"),
        Output(ids.SELECTION_CLEAR, "hidden"),
        Output(ids.LINKED, "data"),
        Output(ids.nav_link(ALL), "href"),
        Input(ids.SELECTION, "data"),
        Input(ids.RUN, "data"),
        Input(ids.LOCATION, "pathname"),
        State(ids.REQUEST, "data"),
        State(ids.nav_link(ALL), "id"),
        prevent_initial_call=True,
    )
    clientside_callback(
        ClientsideFunction("shell", "theme"),
        Output(ids.THEME, "data"),
        Output(ids.THEME_BUTTON, "children"),
        Input(ids.THEME_BUTTON, "n_clicks"),
        State(ids.THEME, "data"),
    )


def _panels() -> None:
    """A panel's view, and what is drawn over its figure."""
    clientside_callback(
        ClientsideFunction("panels", "view"),
        Output(ids.part("view", MATCH, MATCH), "data"),
        Output(ids.part("state", MATCH, MATCH), "children"),
        Output(ids.part("body", MATCH, MATCH), "className"),
        Input(ids.RUN, "data"),
        Input(ids.SELECTION, "data"),
        Input(ids.THEME, "data"),
        Input(ids.knob(MATCH, MATCH, ALL), "value"),
        State(ids.knob(MATCH, MATCH, ALL), "id"),
        State(ids.part("reads", MATCH, MATCH), "data"),
        State(ids.part("view", MATCH, MATCH), "data"),
    )
    clientside_callback(
        ClientsideFunction("panels", "drawn"),
        Output(ids.part("drawn", MATCH, MATCH), "data"),
        Input(ids.part("figure", MATCH, MATCH), "figure"),
        prevent_initial_call=True,
    )
