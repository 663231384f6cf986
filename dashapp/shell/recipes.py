"""Links that are too long for an address: the browser hands their prompts over and gets a key, and the other way round.

The texts are query strings as `20-link.js` writes and reads them; here they are texts, told to whoever has the key.
"""

from __future__ import annotations

from typing import Any, Final

from dash import Input, Output, callback
from dash.exceptions import PreventUpdate
from flask import current_app

from dashapp import ids
from dashapp.errors import DashappError
from dashapp.store.contract import Recipes

RECIPES: Final = "dashapp.recipes"  # where an app keeps its store, among Flask's extensions


def register() -> None:
    """Register the callbacks; once, before the app is used."""
    callback(Output(ids.RECIPE_KEPT, "data"), Input(ids.RECIPE_TO_KEEP, "data"), prevent_initial_call=True)(keep)
    callback(Output(ids.RECIPE_OPENED, "data"), Input(ids.RECIPE_TO_OPEN, "data"), prevent_initial_call=True)(opened)


def keep(asked: object) -> dict[str, Any]:
    """The key of a text: {id, text} → {id, key}, or {id, rule, instance, remedy}. id: which text the browser meant."""
    text = asked.get("text") if isinstance(asked, dict) else None
    if not isinstance(text, str):
        raise PreventUpdate
    assert isinstance(asked, dict)
    try:
        return {"id": asked.get("id"), "key": _store().put(text, secret=str(current_app.secret_key))}
    except DashappError as error:
        return {"id": asked.get("id"), **_said(error)}


def opened(key: object) -> dict[str, Any]:
    """The text of a key: {key, text}, or {key, rule, instance, remedy}."""
    if not isinstance(key, str):
        raise PreventUpdate
    try:
        return {"key": key, "text": _store().get(key)}
    except DashappError as error:
        return {"key": key, **_said(error)}


def _store() -> Recipes:
    found: Recipes = current_app.extensions[RECIPES]
    return found


def _said(error: DashappError) -> dict[str, str]:
    return {"rule": error.rule, "instance": error.instance, "remedy": error.remedy}
