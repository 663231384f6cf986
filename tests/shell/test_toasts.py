from __future__ import annotations

import logging
from typing import Any

import pytest

from dashapp import ids
from dashapp.errors import StoreUnavailable
from dashapp.shell import toasts


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the browser is told, instead of by a callback that runs."""
    calls: list[Any] = []
    monkeypatch.setattr(toasts, "set_props", lambda component, props: calls.append((component, props["data"])))
    return calls


def test_an_error_of_ours_tells_its_own_sentence(told: list[Any]) -> None:
    toasts.tell_failure(StoreUnavailable("/cache", "the disk is full"))
    ((component, said),) = told
    assert component == ids.TOLD
    assert said["instance"] == "'/cache' can not: the disk is full."
    assert said.keys() == {"rule", "instance", "remedy"}


def test_any_other_error_is_logged_whole_and_told_by_its_id(told: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        try:
            raise KeyError("a prompt that is private")
        except KeyError as error:
            toasts.tell_failure(error)
    ((_, said),) = told
    failure_id = said["instance"].split()[-1].rstrip(".")
    assert failure_id in caplog.text
    assert "Traceback" in caplog.text
    assert "private" not in str(said)
