"""Lines of the log, for people and for programs, each with what it belongs to."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from dashapp.logs import JOB_ID, REQUEST_ID, AsJson, AsText


@pytest.fixture
def in_a_job() -> Iterator[None]:
    request, job = REQUEST_ID.set("12ab34cd"), JOB_ID.set("0" * 32)
    yield
    REQUEST_ID.reset(request)
    JOB_ID.reset(job)


def record(says: str = "Removed %s", *args: object, error: Exception | None = None) -> logging.LogRecord:
    told = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("dashapp.store", logging.WARNING, "disk.py", 1, says, args or ("it",), told)
    made.created = 0.25
    return made


def test_a_line_for_people_ends_with_what_it_belongs_to(in_a_job: None) -> None:
    assert AsText().format(record()) == f"WARNING dashapp.store: Removed it [request 12ab34cd, job {'0' * 32}]"


def test_a_line_that_belongs_to_nothing_says_nothing_of_it() -> None:
    assert AsText().format(record()) == "WARNING dashapp.store: Removed it"
    assert json.loads(AsJson().format(record())) == {
        "at": "1970-01-01T00:00:00.250+00:00",
        "level": "WARNING",
        "logger": "dashapp.store",
        "says": "Removed it",
    }


def test_a_line_for_programs_is_one_object_whatever_was_said(in_a_job: None) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        line = AsJson().format(record('a "%s"\n', "prompt\n\u202e{}", error=error))
    assert "\n" not in line
    said = json.loads(line)
    assert said["says"] == 'a "prompt\n\u202e{}"\n'
    assert (said["request"], said["job"]) == ("12ab34cd", "0" * 32)
    assert said["traceback"].endswith("ValueError: two\nlines")


def test_every_answer_names_its_request(client: FlaskClient) -> None:
    names = [client.get("/healthz").headers["X-Request-Id"] for _ in range(2)]
    assert names[0] != names[1]
    assert all(len(name) == 8 for name in names)
    assert REQUEST_ID.get() == ""  # what this thread logs next belongs to neither
