"""What the browser asks of the server to get a run: an answer to a request, a job, a stop. One set for each slot."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from dash import Input, Output, callback, ctx
from dash.exceptions import PreventUpdate
from flask import current_app

from dashapp import ids
from dashapp.door.visitors import visitor
from dashapp.jobs.reception import Reception
from dashapp.jobs.request import ID_PATTERN

RECEPTION: Final = "dashapp.reception"  # where an app keeps them, among Flask's extensions
MANAGER: Final = "dashapp.jobs"


def register() -> None:
    """Register the callbacks of every slot; once, before the app is used."""
    for slot in ids.SLOTS:
        of = partial(ids.of, slot=slot)
        callback(
            Output(of(ids.ANSWER), "data"),
            Input(of(ids.REQUEST), "data"),
            Input(of(ids.ASK), "data"),
            prevent_initial_call=True,
        )(answer)
        callback(
            Output(of(ids.JOB_RESULT), "data"),
            Input(of(ids.ADMITTED), "data"),
            background=True,
            interval=100,
            progress=[Output(of(ids.PROGRESS), "data")],
            running=[(Output(of(ids.RUNNING), "data"), True, False)],
            prevent_initial_call=True,
        )(run_job)
        callback(Output(of(ids.STOPPED), "data"), Input(of(ids.STOP), "data"), prevent_initial_call=True)(stop)


def answer(request: object, asked_again: object) -> dict[str, Any]:
    """Known, refused, waiting or admitted."""
    reception: Reception = current_app.extensions[RECEPTION]
    is_again = str(ctx.triggered_id).startswith(ids.ASK)
    try:
        return reception.answer(asked_again if is_again else request, visitor())
    except ValueError as error:  # no page of ours sends it
        raise PreventUpdate from error


def run_job(context: Any, request: object) -> dict[str, Any]:
    """The run of a request that was let in. Called in a job's process, with a context of `jobs.manager`."""
    from dashapp.jobs.prompt import run_prompt_in_job  # it needs torch, which this process does without

    return run_prompt_in_job(context, request)


def stop(request_id: object) -> str:
    """Tell a job to end with what it has."""
    if not isinstance(request_id, str) or not ID_PATTERN.fullmatch(request_id):
        raise PreventUpdate
    current_app.extensions[MANAGER].ask_to_stop(request_id)
    return request_id
