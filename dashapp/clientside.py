"""Which functions of `assets/js` answer which components. No JavaScript stands here: the content policy refuses it."""

from __future__ import annotations

from functools import partial

from dash import ALL, MATCH, ClientsideFunction, Input, Output, State, clientside_callback

from dashapp import ids


def register() -> None:
    """Register all of them; once, before the app is made."""
    for slot in ids.SLOTS:
        _runs(slot)
        _drawing(slot)
    _shared()
    _links_and_errors()
    _compare()
    _panels()
    _works()


def _runs(slot: ids.Slot) -> None:
    """From a press of a button to the state of a run."""
    of = partial(ids.of, slot=slot)
    form = [of(name) for name in ids.FORM]
    clientside_callback(
        ClientsideFunction("shell", "start"),
        Output(of(ids.REQUEST), "data"),
        Output(of(ids.STOP), "data"),
        *(Output(field, "value") for field in form),
        Input(of(ids.GO), "n_clicks"),
        Input(of(ids.RETRY), "n_clicks"),
        Input(of(ids.CUT), "n_clicks"),
        Input(ids.RESTORE, "data"),
        Input(ids.LOCATION, "search"),
        *(State(field, "value") for field in form),
        State(of(ids.SLOT_NAME), "data"),
        State(of(ids.REQUEST), "data"),
        State(of(ids.LIVE), "data"),
    )
    clientside_callback(
        ClientsideFunction("shell", "admitted"),
        Output(of(ids.ADMITTED), "data"),
        Input(of(ids.ANSWER), "data"),
        State(of(ids.SLOT_NAME), "data"),
        prevent_initial_call=True,
    )
    clientside_callback(  # without an Output, see `ids.FINISHED`
        ClientsideFunction("shell", "finished"),
        Input(of(ids.JOB_RESULT), "data"),
        State(of(ids.SLOT_NAME), "data"),
        prevent_initial_call=True,
    )
    clientside_callback(
        ClientsideFunction("shell", "state"),
        Output(of(ids.LIVE), "data"),
        Input(of(ids.REQUEST), "data"),
        Input(of(ids.ANSWER), "data"),
        Input(of(ids.PROGRESS), "data"),
        Input(of(ids.FINISHED), "data"),
        Input(of(ids.RUNNING), "data"),
        Input(of(ids.STOP), "data"),
        Input(ids.PULSE, "n_intervals"),
        State(of(ids.LIVE), "data"),
        State(of(ids.SLOT_NAME), "data"),
        prevent_initial_call=True,
    )
    clientside_callback(
        ClientsideFunction("shell", "ask"),
        Output(of(ids.ASK), "data"),
        Input(ids.PULSE, "n_intervals"),
        State(of(ids.LIVE), "data"),
        State(of(ids.REQUEST), "data"),
        prevent_initial_call=True,
    )


def _drawing(slot: ids.Slot) -> None:
    """From the state of a run to what stands in its prompt bar and strip."""
    of = partial(ids.of, slot=slot)
    clientside_callback(
        ClientsideFunction("shell", "draw"),
        Output(of(ids.GO), "children"),
        Output(of(ids.BAR), "hidden"),
        Output(of(ids.BAR), "value"),
        Output(of(ids.STATUS), "children"),
        Output(of(ids.FAILURE), "hidden"),
        Output(of(ids.FAILURE_TEXT), "children"),
        Output(of(ids.RETRY), "hidden"),
        Output(of(ids.CUT), "hidden"),
        Input(of(ids.LIVE), "data"),
        State(of(ids.SLOT_NAME), "data"),
        prevent_initial_call=True,
    )
    clientside_callback(
        ClientsideFunction("shell", "compareForm"),
        Output(of(ids.PROMPT_DIFFERS), "hidden"),
        Output(of(ids.SETTINGS_SUMMARY), "children"),
        *(Input(of(name), "value") for name in ids.FORM),
        Input(of(ids.REQUEST), "data"),
    )
    clientside_callback(
        ClientsideFunction("typed", "follow"),
        *(Input(of(name), "value") for name in (ids.PROMPT, ids.BOS, ids.MODEL, ids.MAX_NEW_TOKENS)),
        State(of(ids.SLOT_NAME), "data"),
    )


def _links_and_errors() -> None:
    """Prompts that are too long for an address, errors that belong to no place on the page, and the strips' switch."""
    clientside_callback(
        ClientsideFunction("recipes", "kept"),
        Input(ids.RECIPE_KEPT, "data"),
        State(ids.RECIPE_TO_KEEP, "data"),
        prevent_initial_call=True,
    )
    clientside_callback(
        ClientsideFunction("recipes", "opened"), Input(ids.RECIPE_OPENED, "data"), prevent_initial_call=True
    )
    clientside_callback(ClientsideFunction("toasts", "told"), Input(ids.TOLD, "data"), prevent_initial_call=True)
    clientside_callback(ClientsideFunction("strip", "turn"), Input(ids.WEIGHTS_DIRECTION, "value"))


def _shared() -> None:
    """The one selection, the address, and how the page looks."""
    clientside_callback(
        ClientsideFunction("shell", "select"),
        Output(ids.SELECTION_TEXT, "children"),
        Output(ids.SELECTION_CLEAR, "hidden"),
        Output(ids.SELECTION_UNDO, "hidden"),
        Output(ids.nav_link(ALL, ALL), "href"),
        Input(ids.SELECTION, "data"),
        *(Input(ids.of(ids.RUN, slot), "data") for slot in ids.SLOTS),
        Input(ids.LOCATION, "pathname"),
        *(Input(ids.of(ids.REQUEST, slot), "data") for slot in ids.SLOTS),
        Input(ids.ALIGNMENT, "data"),
        State(ids.nav_link(ALL, ALL), "id"),
    )
    clientside_callback(
        ClientsideFunction("shell", "rest"),
        Output(ids.PULSE, "disabled"),
        *(Input(ids.of(ids.LIVE, slot), "data") for slot in ids.SLOTS),
    )
    clientside_callback(
        ClientsideFunction("models", "draw"),
        Output(ids.MODEL_NAME, "children"),
        Output(ids.MODEL_SIZE, "children"),
        Output(ids.MODEL_OTHER, "children"),
        Output(ids.MODEL_NEXT, "children"),
        Output(ids.DEMO_NOTE, "children"),
        Output(ids.DEMO_NOTE, "hidden"),
        Output(ids.MODELS_PULSE, "disabled"),
        Input(ids.MODELS, "data"),
        *(Input(ids.of(ids.MODEL, slot), "value") for slot in ids.SLOTS),
        *(Input(ids.of(ids.RUN, slot), "data") for slot in ids.SLOTS),
        *(Input(ids.of(ids.REQUEST, slot), "data") for slot in ids.SLOTS),
        State(ids.MODEL_DEFAULT, "data"),
    )
    clientside_callback(
        ClientsideFunction("shell", "theme"),
        Output(ids.THEME, "data"),
        Output(ids.THEME_BUTTON, "children"),
        Input(ids.THEME_BUTTON, "n_clicks"),
        State(ids.THEME, "data"),
    )
    clientside_callback(
        ClientsideFunction("choices", "units"),
        Output(ids.UNITS, "data"),
        Output(ids.UNITS_CHOICE, "value"),
        Input(ids.UNITS_CHOICE, "value"),
        State(ids.UNITS_CHOICE, "options"),
    )
    clientside_callback(
        ClientsideFunction("choices", "colour"),
        Output(ids.STRIP_COLOUR, "value"),
        Input(ids.STRIP_COLOUR, "value"),
        State(ids.STRIP_COLOUR, "options"),
    )
    clientside_callback(
        ClientsideFunction("shell", "textSize"),
        Output(ids.TEXT, "data"),
        Output(ids.TEXT_SIZE, "value"),
        Input(ids.TEXT_SIZE, "value"),
        State(ids.TEXT_SIZE, "options"),
        State(ids.TEXT, "data"),
    )


def _compare() -> None:
    """What two prompts have to do with each other, and knobs that go together."""
    runs = [Input(ids.of(ids.RUN, slot), "data") for slot in ids.SLOTS]
    clientside_callback(
        ClientsideFunction("compare", "pair"),
        Output(ids.PAIR, "data"),
        *runs,
        Input(ids.PINS, "data"),
        State(ids.ALIGNMENT, "data"),
        State(ids.PAIR, "data"),
    )
    clientside_callback(
        ClientsideFunction("alignment", "refused"),
        Input(ids.PINS_REFUSED, "data"),
        State(ids.ALIGNMENT, "data"),
        prevent_initial_call=True,
    )
    clientside_callback(
        ClientsideFunction("compare", "mark"), Input(ids.ALIGNMENT, "data"), *runs, prevent_initial_call=True
    )
    clientside_callback(
        ClientsideFunction("compare", "link"),
        Output(ids.knob(MATCH, ALL, MATCH), "value"),
        Input(ids.knob(MATCH, ALL, MATCH), "value"),
        State(ids.knob(MATCH, ALL, MATCH), "id"),
        prevent_initial_call=True,
    )


def _panels() -> None:
    """A panel's view, and what is drawn over its figure."""
    clientside_callback(
        ClientsideFunction("panels", "view"),
        Output(ids.part("view", MATCH, MATCH), "data"),
        Output(ids.part("state", MATCH, MATCH), "children"),
        Output(ids.part("body", MATCH, MATCH), "className"),
        Input(ids.THEME, "data"),
        Input(ids.TEXT, "data"),
        Input(ids.UNITS, "data"),
        Input(ids.ALIGNMENT, "data"),
        Input(ids.knob(MATCH, MATCH, ALL), "value"),
        Input(ids.part("near", MATCH, MATCH), "data"),
        # No inputs: 40-panels.js calls the panels that they concern and that are near the window. Dash would call all
        # panels of the page, and each call takes some 20 ms of the browser's time.
        *(State(ids.of(ids.RUN, slot), "data") for slot in ids.SLOTS),
        State(ids.SELECTION, "data"),
        State(ids.knob(MATCH, MATCH, ALL), "id"),
        State(ids.part("spec", MATCH, MATCH), "data"),
        State(ids.part("view", MATCH, MATCH), "data"),
        State(ids.part("drawn", MATCH, MATCH), "data"),
        State(ids.part("fault", MATCH, MATCH), "children"),
        State(ids.part("state", MATCH, MATCH), "children"),
        State(ids.part("body", MATCH, MATCH), "className"),
        prevent_initial_call=True,
    )
    clientside_callback(
        ClientsideFunction("panels", "drawn"),
        Output(ids.part("drawn", MATCH, MATCH), "data"),
        Output(ids.part("body", MATCH, MATCH), "className", allow_duplicate=True),
        Input(ids.part("figure", MATCH, MATCH), "figure"),
        Input(ids.part("fault", MATCH, MATCH), "children"),
        State(ids.part("view", MATCH, MATCH), "data"),
        State(ids.part("state", MATCH, MATCH), "children"),
        prevent_initial_call=True,
    )


def _works() -> None:
    """What a panel awaits, below its figure."""
    figure, state = ids.part("figure", MATCH, MATCH), ids.part("work-state", MATCH, MATCH)
    clientside_callback(
        ClientsideFunction("works", "ask"),
        Output(ids.part("work-asked", MATCH, MATCH), "data"),
        Input(figure, "figure"),
        Input(ids.part("work-pulse", MATCH, MATCH), "n_intervals"),
        Input(ids.part("work-start", MATCH, MATCH), "n_clicks"),
        Input(ids.part("work-cancel", MATCH, MATCH), "n_clicks"),
        Input(ids.part("work-retry", MATCH, MATCH), "n_clicks"),
        State(state, "data"),
        State(ids.part("work", MATCH, MATCH), "id"),
        prevent_initial_call=True,
    )
    clientside_callback(
        ClientsideFunction("works", "draw"),
        Output(ids.part("work", MATCH, MATCH), "hidden"),
        Output(ids.part("work", MATCH, MATCH), "className"),
        Output(ids.part("work-says", MATCH, MATCH), "children"),
        Output(ids.part("work-bar", MATCH, MATCH), "value"),
        Output(ids.part("work-bar", MATCH, MATCH), "hidden"),
        Output(ids.part("work-start", MATCH, MATCH), "hidden"),
        Output(ids.part("work-cancel", MATCH, MATCH), "hidden"),
        Output(ids.part("work-retry", MATCH, MATCH), "hidden"),
        Output(ids.part("work-pulse", MATCH, MATCH), "disabled"),
        Input(figure, "figure"),
        Input(state, "data"),
        prevent_initial_call=True,
    )
