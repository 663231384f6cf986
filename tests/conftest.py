"""Fixtures every test may ask for. The models themselves are made in `doubles`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.doubles import TINY, TINY_TEXT, save_model_folder, tiny_model

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2


@pytest.fixture(scope="session")
def model() -> GPT2:
    """The tiny model, shared: tests read it and do not change it."""
    return tiny_model(TINY)


@pytest.fixture(scope="session")
def text_model() -> GPT2:
    """A tiny model that reads real text, shared: tests read it and do not change it."""
    return tiny_model(TINY_TEXT)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `text_model` in Hugging Face format, shared: tests read it and do not change it."""
    return save_model_folder(tmp_path_factory.mktemp("models") / "tiny")
