"""Fixtures every test may ask for. The models themselves are made in `doubles`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings as hypothesis_settings

from tests.doubles import TINY, TINY_TEXT, save_model_folder, tiny_model

if TYPE_CHECKING:
    from dash import Dash
    from flask.testing import FlaskClient

    from dashapp.model.gpt2 import GPT2
    from dashapp.settings import Settings
    from tests.buckets import Bucket
    from tests.relay import Relay


# On a busy machine any example may take long; a test that looks for hangs sets a limit of its own.
hypothesis_settings.register_profile("untimed", deadline=None)
hypothesis_settings.load_profile("untimed")


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


@pytest.fixture(scope="session")
def settings(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """What `app` was made with."""
    from dashapp.settings import Settings  # here and below: most tests need no Dash

    folder = tmp_path_factory.mktemp("app")
    # No share of the server: tests ask more than a visitor may, and what they get must not hang on the machine's speed.
    places = {"cache_dir": folder / "cache", "models_dir": folder / "models"}
    return Settings(model=str(model_folder), visitor_seconds=0, **places)


@pytest.fixture(scope="session")
def app(settings: Settings) -> Dash:
    """The one app that a process may make, shared: tests ask it and do not change it."""
    from dashapp.app import create_app

    return create_app(settings)


@pytest.fixture
def client(app: Dash) -> FlaskClient:
    """Somebody who asks the app without a browser."""
    client: FlaskClient = app.server.test_client()
    return client


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[Relay]:
    """A server with the S3 interface behind a relay, with credentials for it in the environment."""
    from tests.buckets import serving  # most tests need no object store

    with serving() as relay:
        yield relay


BUCKET_NUMBERS = itertools.count()


@pytest.fixture
def bucket(bucket_server: Relay) -> Iterator[Bucket]:
    """An empty bucket."""
    from tests.buckets import new_bucket

    with new_bucket(bucket_server, f"bucket-{next(BUCKET_NUMBERS)}") as made:
        yield made
