"""A model in a folder, and two traces of it in the store of an app."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

import dashapp
from dashapp.traces.record import Trace

if TYPE_CHECKING:
    from pathlib import Path

    from dash import Dash

    from dashapp.model.gpt2 import GPT2
    from dashapp.settings import Settings

PROMPT, OTHER = "a b c a b =d e", "a b x a b =d e"


@pytest.fixture(scope="module")
def folder_model(model_folder: Path, settings: Settings) -> GPT2:
    return dashapp.load(model_folder, settings=settings)


@pytest.fixture(scope="module")
def traces(folder_model: GPT2, settings: Settings) -> tuple[Trace, Trace]:
    """In the store of the app."""
    made = [dashapp.trace(folder_model, prompt, settings=settings) for prompt in (PROMPT, OTHER)]
    return made[0], made[1]


@pytest.fixture
def context(app: Dash) -> Iterator[None]:
    with app.server.app_context():
        yield
