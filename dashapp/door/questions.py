"""Questions of pages, in the words of Dash: what is none of them is refused before Dash reads it. Knows shapes only.

Dash believes its own renderer and fails where somebody else asks, or a page of an older version that is still open.
What the values say is looked at by each callback.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from flask import Flask, request
from flask.typing import ResponseReturnValue

from dashapp.door.refusals import refused
from dashapp.errors import NotAQuestion

PATH: Final = "/_dash-update-component"


def refuse_made_up_questions(server: Flask, callbacks: Callable[[], Mapping[str, Any]]) -> None:
    """Answer with 400 what no page asks. callbacks: those that there are, by their outputs."""

    @server.before_request
    def refuse_made_up() -> ResponseReturnValue | None:
        if request.path != PATH or request.method != "POST" or is_too_large():
            return None
        return None if is_asked_by_a_page(request.get_json(silent=True), callbacks()) else refused(NotAQuestion(), 400)


def is_too_large() -> bool:
    """Whether a question will be refused unread for its size."""
    return (request.content_length or 0) > (request.max_content_length or 0)


def is_asked_by_a_page(asked: object, callbacks: Mapping[str, Any]) -> bool:
    """Whether a question has the shape that Dash's renderer gives it, for a callback that there is."""
    output = asked.get("output") if isinstance(asked, dict) else None
    known = callbacks.get(output) if isinstance(output, str) else None
    if known is None or not known.get("callback"):
        return False
    assert isinstance(asked, dict), "it has an output"
    changed = asked.get("changedPropIds", [])
    return (
        _are_those(asked.get("outputs"), known["output"])
        and all(_has_all(asked.get(part, []), known[part]) for part in ("inputs", "state"))
        and isinstance(changed, list)
        and all(isinstance(each, str) for each in changed)
    )


def _has_all(told: object, wanted: list[Any]) -> bool:
    return isinstance(told, list) and len(told) == len(wanted) and _are_properties(told)


def _are_those(told: object, wanted: Any) -> bool:
    """Whether outputs are those of a callback, whose own know which ids their patterns match."""
    if not isinstance(wanted, list | tuple):
        return not isinstance(told, list) and _are_those([told], [wanted])
    return (
        isinstance(told, list)
        and len(told) == len(wanted)
        and _are_properties(told)
        and all(_is_that(each, output) for each, output in zip(told, wanted, strict=True))
    )


def _is_that(told: Any, output: Any) -> bool:
    each = told if isinstance(told, list) else [told]
    return all(type(output)(one["id"], one["property"].partition("@")[0]) == output for one in each)


def _are_properties(told: list[Any]) -> bool:
    """Whether each is a property of a component, or a list of some where a pattern matches many, and no list deeper."""
    return all(all(map(_is_property, each)) if isinstance(each, list) else _is_property(each) for each in told)


def _is_property(told: object) -> bool:
    return isinstance(told, dict) and isinstance(told.get("property"), str) and _is_id(told.get("id"))


def _is_id(told: object) -> bool:
    return isinstance(told, str) or (
        isinstance(told, dict) and all(isinstance(part, str | int | float) for part in told.values())
    )
