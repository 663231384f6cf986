"""Downloads: one a model, told as they go, stopped and gone on with, their failures in words."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dashapp.errors import JobStopped, ModelUnreachable
from dashapp.jobs.downloads import PACE_S, Download, Downloads
from dashapp.jobs.models import ModelList
from dashapp.model import opened
from dashapp.model.download import PIECE_BYTES, Progress
from dashapp.model.opened import Models
from dashapp.model.weights import Weights
from tests.hub_server import Hub, hub_server

LIMIT_S = 30.0
REPO = "openai-community/gpt2"


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)


class Told:
    """A hub in the test's hands: each download waits until the test tells it how far it has come."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.go_on = threading.Semaphore(0)
        self.steps: list[tuple[int, int]] = []
        self.error: Exception | None = None

    def fetch(self, name: str, progress: Progress) -> None:
        self.started.append(name)
        while True:
            assert self.go_on.acquire(timeout=LIMIT_S)
            if self.error:
                raise self.error
            done, total = self.steps.pop(0)
            progress(done, total)
            if done == total:
                return

    def tell(self, done: int, total: int) -> None:
        self.steps.append((done, total))
        self.go_on.release()


@pytest.fixture
def told() -> Iterator[Told]:
    told = Told()
    yield told
    told.error = JobStopped()
    told.go_on.release(max(1, len(told.started)))  # no thread outlives its test


def seen(downloads: Downloads) -> Download:
    state = downloads.state("gpt2")
    assert state is not None
    return state


# One download --------------------------------------------------------------------------------------------------------


def test_nobody_asked_for_has_no_state(told: Told) -> None:
    assert Downloads(told.fetch).state("gpt2") is None


def test_a_download_is_told_in_bytes_and_then_done(told: Told) -> None:
    downloads = Downloads(told.fetch)
    downloads.start("gpt2")
    assert seen(downloads) == Download(phase="running")
    told.tell(30, 100)
    until(lambda: seen(downloads).done_bytes == 30)
    assert (seen(downloads).phase, seen(downloads).total_bytes) == ("running", 100)
    told.tell(100, 100)
    until(lambda: seen(downloads).phase == "done")


def test_one_download_a_model_however_many_ask(told: Told) -> None:
    downloads = Downloads(told.fetch)
    for _ in range(20):
        threading.Thread(target=downloads.start, args=("gpt2",)).start()
    until(lambda: bool(told.started))
    downloads.start("gpt2")
    downloads.start("distilgpt2")
    until(lambda: len(told.started) == 2)
    assert told.started == ["gpt2", "distilgpt2"]


def test_a_stopped_download_is_stopped_and_can_go_on(told: Told) -> None:
    downloads = Downloads(told.fetch)
    downloads.start("gpt2")
    told.tell(30, 100)
    until(lambda: seen(downloads).done_bytes == 30)
    downloads.stop("gpt2")
    assert seen(downloads).phase == "stopping"
    told.tell(40, 100)
    until(lambda: seen(downloads).phase == "stopped")
    assert seen(downloads).done_bytes == 30  # what arrived with the stop counts when it goes on
    downloads.start("gpt2")
    until(lambda: told.started == ["gpt2", "gpt2"])
    told.tell(100, 100)
    until(lambda: seen(downloads).phase == "done")


def test_what_is_here_whole_is_not_stopped_any_more(told: Told) -> None:
    downloads = Downloads(told.fetch)
    downloads.start("gpt2")
    downloads.stop("gpt2")
    told.tell(100, 100)
    until(lambda: seen(downloads).phase == "done")


def test_a_failure_is_told_in_words_and_can_be_tried_again(told: Told) -> None:
    downloads = Downloads(told.fetch)
    told.error = ModelUnreachable("gpt2", "http://127.0.0.1:1", "there is no connection")
    downloads.start("gpt2")
    told.go_on.release()
    until(lambda: seen(downloads).phase == "failed")
    failure = seen(downloads).failure
    assert failure is not None
    assert failure["instance"] == "They could not be fetched: there is no connection."
    told.error = None
    downloads.start("gpt2")
    told.tell(1, 1)
    until(lambda: seen(downloads).phase == "done")
    assert seen(downloads).failure is None


def test_a_failure_that_nobody_foresaw_is_told_by_an_id_only(told: Told) -> None:
    downloads = Downloads(told.fetch)
    told.error = KeyError("a secret")
    downloads.start("gpt2")
    told.go_on.release()
    until(lambda: seen(downloads).phase == "failed")
    assert "secret" not in str(seen(downloads).failure)


def test_the_time_left_is_that_of_the_speed_since_it_went_on(told: Told) -> None:
    """What was here before does not count: 400 of 1,000 bytes are, 100 come in 2 s, so 500 take 10 s."""
    now = [0.0]
    downloads = Downloads(told.fetch, clock=lambda: now[0])
    downloads.start("gpt2")
    told.tell(400, 1000)
    until(lambda: seen(downloads).done_bytes == 400)
    assert seen(downloads).seconds_left is None
    now[0] = 2.0
    told.tell(500, 1000)
    until(lambda: seen(downloads).done_bytes == 500)
    assert seen(downloads).seconds_left == 500 / (100 / 2.0)
    now[0] = 4.0  # nothing came for two more seconds: half the speed
    assert seen(downloads).seconds_left == 500 / (100 / 4.0)


def test_the_speed_is_that_of_the_last_seconds(told: Told) -> None:
    now = [0.0]
    downloads = Downloads(told.fetch, clock=lambda: now[0])
    downloads.start("gpt2")
    for now[0], done in ((0.0, 0), (1.0, 900), (1.5 + PACE_S, 1000), (2.0 + PACE_S, 1010)):
        told.tell(done, 2000)
        until(lambda done=done: seen(downloads).done_bytes == done)  # type: ignore[misc]
    assert seen(downloads).seconds_left == (2000 - 1010) / ((1010 - 1000) / 0.5)


# The list, with a hub ------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, model_folder: Path) -> Iterator[Hub]:
    """A hub whose gpt2 is the tiny model: 2 MB, eight pieces."""
    with hub_server() as hub:
        for name in ("config.json", "model.safetensors"):
            hub.files[(REPO, name)] = (model_folder / name).read_bytes()
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setattr(opened, "SETTLED_NS", 0)
        yield hub


@pytest.fixture
def listed(model_folder: Path, tmp_path: Path) -> ModelList:
    weights = Weights.open(model_folder, name="start")
    models = Models(weights, dtype="float32", allowed=frozenset({"gpt2", "distilgpt2"}), hub_cache=tmp_path / "hub")
    return ModelList(models=models, downloads=Downloads(models.fetch))


def row(listed: ModelList, order: object = None) -> dict[str, object]:
    return {each["name"]: each for each in listed.answer(order)}["gpt2"]


def test_the_list_says_of_each_model_whether_it_is_here(listed: ModelList) -> None:
    assert {each["name"]: each["state"] for each in listed.answer(None)} == {
        "start": "here",
        "distilgpt2": "absent",
        "gpt2": "absent",
    }


def test_a_model_is_downloaded_stopped_gone_on_with_and_here(listed: ModelList, hub: Hub, tmp_path: Path) -> None:
    weights = hub.files[(REPO, "model.safetensors")]
    hub.pause_s = 0.02
    assert row(listed, {"do": "download", "name": "gpt2"})["state"] == "running"
    until(lambda: row(listed)["done_bytes"] > PIECE_BYTES)  # type: ignore[operator]
    row(listed, {"do": "stop", "name": "gpt2"})
    until(lambda: row(listed)["state"] == "stopped")
    (part,) = tmp_path.rglob(f"{hashlib.sha256(weights).hexdigest()}.dashapp.incomplete")
    have = part.stat().st_size
    assert PIECE_BYTES < have < len(weights)
    row(listed, {"do": "download", "name": "gpt2"})
    until(lambda: row(listed)["state"] == "here")
    assert hub.ranges("model.safetensors") == ["", f"bytes={have}-"]
    assert listed.models.named("gpt2").fingerprint == listed.models.default.fingerprint


def test_a_download_without_a_network_fails_in_words(
    listed: ModelList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub_server() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
    row(listed, {"do": "download", "name": "gpt2"})  # nobody listens there now
    until(lambda: row(listed)["state"] == "failed")
    assert "or use 'demo', which needs no network" in str(row(listed)["failure"])


def test_a_disk_without_room_is_said_and_nothing_is_fetched(
    listed: ModelList, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1_000_000}))
    row(listed, {"do": "download", "name": "gpt2"})
    until(lambda: row(listed)["state"] == "failed")
    assert "where 1.0 MB are free" in str(row(listed)["failure"])
    assert hub.ranges("model.safetensors") == []


def test_a_model_that_was_removed_can_be_downloaded_again(listed: ModelList, hub: Hub) -> None:
    row(listed, {"do": "download", "name": "gpt2"})
    until(lambda: row(listed)["state"] == "here")
    (listed.models.named("gpt2").folder / "model.safetensors").unlink()
    assert row(listed)["state"] == "absent"


@pytest.mark.parametrize(
    "order",
    [3, "download", {}, {"do": "download"}, {"do": "download", "name": "gpt2-xl"}, {"do": "stop", "name": ["gpt2"]}],
)
def test_an_order_that_no_page_sends_is_refused(listed: ModelList, order: object) -> None:
    with pytest.raises(ValueError, match="an order"):
        listed.answer(order)
