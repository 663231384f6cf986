"""Whatever a job does, its outcome is data that a browser can be told."""

from __future__ import annotations

import json
import logging

import pytest

from dashapp.errors import PromptTooLong
from dashapp.jobs.outcome import outcome_of


def raising(error: BaseException) -> dict[str, object]:
    raise error


def test_a_result_is_done_under_its_requests_id() -> None:
    assert outcome_of("r", lambda: {"trace": "k"}) == {"id": "r", "status": "done", "trace": "k"}


def test_an_error_of_ours_tells_its_sentences() -> None:
    outcome = outcome_of("r", lambda: raising(PromptTooLong(5, 3)))
    assert (outcome["status"], outcome["error"]) == ("failed", "PromptTooLong")
    assert outcome["instance"] == PromptTooLong(5, 3).instance
    assert json.loads(json.dumps(outcome)) == outcome


def test_any_other_error_is_logged_whole_and_told_by_an_id_only(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        outcome = outcome_of("r", lambda: raising(KeyError("secret prompt")))
    assert outcome["error"] == "UnexpectedFailure"
    assert "secret prompt" not in json.dumps(outcome)
    failure_id = outcome["instance"].split()[-1].rstrip(".")
    assert failure_id in caplog.text
    assert "KeyError: 'secret prompt'" in caplog.text
