from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dashapp
from dashapp import api
from dashapp.errors import (
    BadSampling,
    EmptyPrompt,
    PromptTooLong,
    StoreUnavailable,
    TraceTooLarge,
    UnknownModel,
    UnsupportedDtype,
)
from dashapp.model.config import GPT2Config
from dashapp.model.gpt2 import GPT2
from dashapp.model.tokenizer import END_OF_TEXT_ID
from dashapp.panels.catalogue import PANELS
from dashapp.panels.panel import draw
from dashapp.settings import Settings
from dashapp.store.disk import TraceStore
from dashapp.traces.run import RunStep
from tests.buckets import Bucket
from tests.doubles import TINY_TEXT, save_model_folder, tiny_model


@pytest.fixture
def settings(tmp_path: Path, model_folder: Path) -> Settings:
    """Settings of a person whose cache is empty and whose models folder holds 'tiny'."""
    return Settings(cache_dir=tmp_path / "cache", cache_size=10**8, models_dir=model_folder.parent)


@pytest.fixture
def model() -> GPT2:
    """A tiny model that reads text, of the test's own."""
    return tiny_model(TINY_TEXT)


def count_passes(model: GPT2) -> list[int]:
    """A list that grows by one at each forward pass."""
    passes: list[int] = []
    model.ln_f.register_forward_hook(lambda *_: passes.append(1))
    return passes


# The package ---------------------------------------------------------------------------------------------------------


def test_the_public_names_are_there_and_nothing_else_is() -> None:
    assert {name: getattr(dashapp, name) for name in dashapp.__all__}.keys() == {
        "Run",
        "SamplingSettings",
        "Trace",
        "__version__",
        "encode",
        "figure",
        "generate",
        "load",
        "token_text",
        "token_texts",
        "trace",
    }
    with pytest.raises(AttributeError, match="no attribute 'tracer'"):
        _ = dashapp.tracer


def test_importing_the_package_imports_neither_torch_nor_numpy() -> None:
    program = "import dashapp, sys; print(dashapp.__version__, 'torch' in sys.modules, 'numpy' in sys.modules)"
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.split() == [dashapp.__version__, "False", "False"]


# Loading -------------------------------------------------------------------------------------------------------------


def test_a_model_is_loaded_by_name_or_by_folder(settings: Settings, model_folder: Path) -> None:
    by_name = api.load("tiny", settings=settings)
    by_folder = api.load(model_folder, dtype="bfloat16", settings=settings)
    assert by_name.weights is not None
    assert by_folder.weights is not None
    assert (by_name.weights.name, by_folder.weights.name) == ("tiny", "tiny")
    assert by_name.weights.fingerprint == by_folder.weights.fingerprint
    assert by_folder.wte.weight.dtype == torch.bfloat16


def test_an_unknown_model_is_refused(settings: Settings) -> None:
    with pytest.raises(UnknownModel, match="'tiny'"):
        api.load("tinny", settings=settings)


def test_a_loaded_model_traces_and_generates(settings: Settings) -> None:
    """The example of issue 2, on the tiny model."""
    model = api.load("tiny", settings=settings)
    trace = api.trace(model, "The cat sat on the mat", bos=True, settings=settings)
    assert trace.token_texts == ["<|endoftext|>", "The", " cat", " sat", " on", " the", " mat"]
    assert trace.token_ids.dtype == np.int32
    assert trace.pattern(1).shape == (2, 7, 7)
    assert trace.q.shape == trace.k.shape == trace.v.shape == (3, 2, 7, 5)
    assert trace.resid_pre.shape == trace.resid_mid.shape == trace.resid_post.shape == (3, 7, 10)
    assert trace.mlp_pre.shape == (3, 7, 11)
    assert (trace.logits.shape, trace.logits.dtype) == ((7, 50_257), np.float32)
    run = api.generate(
        model, "Once upon a time", max_new_tokens=5, temperature=0.8, top_k=40, top_p=0.95, seed=0, settings=settings
    )
    assert run.text.startswith("Once upon a time")
    assert run.token_ids.tolist()[:5] == [END_OF_TEXT_ID, 7454, 2402, 257, 640]
    assert len(run.steps[0].top_ids) == len(run.steps[0].top_probs) == 20


# Prompts -------------------------------------------------------------------------------------------------------------


def test_bos_is_put_in_front_of_text_unless_told_otherwise(model: GPT2) -> None:
    assert api.trace(model, "!", cache=False).token_ids.tolist() == [END_OF_TEXT_ID, 0]
    assert api.trace(model, "!", bos=False, cache=False).token_ids.tolist() == [0]
    assert api.generate(model, "!", max_new_tokens=0, cache=False).token_ids.tolist() == [END_OF_TEXT_ID, 0]
    assert api.generate(model, "!", max_new_tokens=0, bos=False, cache=False).token_ids.tolist() == [0]


def test_special_tokens_are_read_when_switched_on(model: GPT2) -> None:
    for ask in (api.trace, api.generate):
        assert END_OF_TEXT_ID not in ask(model, "a<|endoftext|>", bos=False, cache=False).token_ids[:3]
        switched = ask(model, "a<|endoftext|>", bos=False, special_tokens=True, cache=False)
        assert switched.token_ids[:2].tolist() == [64, END_OF_TEXT_ID]


@pytest.mark.parametrize("ids", [[5, 0, 50_256], np.array([5, 0, 50_256]), np.array([5, 0, 50_256], dtype=np.uint16)])
def test_token_ids_are_taken_as_they_are(model: GPT2, ids: Sequence[int] | np.ndarray) -> None:
    found = api.prompt_ids(model, ids)
    assert found.tolist() == [5, 0, 50_256]
    assert found.dtype == np.int32


@pytest.mark.parametrize(
    "ids", [[-1], [50_257], [0.5], [[1, 2]], [True], ["a"], [2**40], [10**30], None, b"ab"], ids=repr
)
def test_ids_of_no_token_are_a_mistake_of_the_caller(model: GPT2, ids: object) -> None:
    with pytest.raises(ValueError, match="whole numbers from 0 to 50,256"):
        api.prompt_ids(model, ids)  # type: ignore[arg-type]


def test_too_many_ids_and_none_at_all_are_refused(model: GPT2) -> None:
    assert len(api.prompt_ids(model, [0] * 13)) == 13
    with pytest.raises(PromptTooLong, match="at most 13"):
        api.prompt_ids(model, [0] * 14)
    for nothing in ([], np.array([], dtype=np.int32)):
        with pytest.raises(EmptyPrompt):
            api.prompt_ids(model, nothing)


def test_bad_sampling_is_refused_by_name(model: GPT2) -> None:
    with pytest.raises(BadSampling, match=r"Top-p must be .* Here it is 2\."):
        api.generate(model, "!", top_p=2, cache=False)


def test_a_model_in_training_mode_is_refused() -> None:
    """Issue 2: dropout's zeros were kept as what the model does with the prompt."""
    training = GPT2(GPT2Config(n_layer=1, n_head=1, d_model=2, d_mlp=1, n_ctx=3)).init_weights(torch.Generator())
    for ask in (api.trace, api.generate):
        with pytest.raises(ValueError, match="training mode"):
            ask(training, "!", cache=False)


# The cache -----------------------------------------------------------------------------------------------------------


def test_the_second_call_does_not_run_the_model(model: GPT2, settings: Settings) -> None:
    passes = count_passes(model)
    first, second = (api.trace(model, "The cat", settings=settings) for _ in range(2))
    assert len(passes) == 1
    np.testing.assert_array_equal(first.q, second.q)
    runs = [api.generate(model, "The cat", max_new_tokens=2, settings=settings) for _ in range(2)]
    assert len(passes) == 3
    assert runs[0].text == runs[1].text


def test_text_and_its_ids_are_one_trace(model: GPT2, settings: Settings) -> None:
    passes = count_passes(model)
    trace = api.trace(model, "The cat", settings=settings)
    api.trace(model, trace.token_ids, settings=settings)
    assert len(passes) == 1


def test_without_cache_no_file_is_touched(model: GPT2, settings: Settings) -> None:
    passes = count_passes(model)
    for _ in range(2):
        api.trace(model, "The cat", cache=False, settings=settings)
        api.generate(model, "The cat", max_new_tokens=1, cache=False, settings=settings)
    assert len(passes) == 4
    assert not settings.cache_dir.exists()


def test_a_folder_that_cannot_be_written_is_no_obstacle(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file stands where the folder should be, which stops even root."""
    (tmp_path / "cache").write_text("in the way")
    folder, old = save_model_folder(tmp_path / "settled"), 1_600_000_000
    for file in folder.iterdir():  # a fingerprint of files that have settled is to be remembered, which fails too
        os.utime(file, (old, old))
    model = api.load(folder, settings=settings)
    with caplog.at_level(logging.WARNING):
        trace = api.trace(model, "The cat", settings=settings)
        run = api.generate(model, "The cat", max_new_tokens=2, settings=settings)
    assert trace.n_tokens == 3
    assert len(run.steps) == 2
    assert caplog.text.count("Going on without a cache.") == 2


def test_what_one_machine_computed_another_finds_in_their_object_store(
    model: GPT2, bucket: Bucket, tmp_path: Path
) -> None:
    one, other = (
        Settings(cache_dir=tmp_path / name, store=bucket.url, store_endpoint=bucket.endpoint) for name in ("a", "b")
    )
    passes = count_passes(model)
    trace = api.trace(model, "The cat", settings=one)
    run = api.generate(model, "The cat", max_new_tokens=2, settings=one)
    n_passes = len(passes)
    found = api.trace(model, "The cat", settings=other)
    np.testing.assert_array_equal(found.resid_post, trace.resid_post)
    assert api.generate(model, "The cat", max_new_tokens=2, settings=other).text == run.text
    assert len(passes) == n_passes
    bucket.relay.is_gone = True
    assert api.trace(model, "The cat", settings=other).n_tokens == 3  # with a line in the log, and computed again
    assert len(passes) == n_passes + 1


def test_a_disk_that_fills_up_loses_nothing(
    model: GPT2, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Issue 2: what had been computed was thrown away with an error."""

    def full(*_: object) -> None:
        raise StoreUnavailable(settings.cache_dir, "no space left on device")

    monkeypatch.setattr(TraceStore, "put_trace", full)
    monkeypatch.setattr(TraceStore, "put_run", full)
    assert api.trace(model, "The cat", settings=settings).n_tokens == 3
    assert len(api.generate(model, "The cat", max_new_tokens=2, settings=settings).steps) == 2
    assert caplog.text.count("no space left") == 2


def test_a_trace_that_cannot_fit_the_cache_is_refused_and_goes_without(model: GPT2, tmp_path: Path) -> None:
    small = Settings(cache_dir=tmp_path / "small", cache_size=10_000)
    passes = count_passes(model)
    with pytest.raises(TraceTooLarge):
        api.trace(model, "The cat", settings=small)
    assert not passes
    assert api.trace(model, "The cat", cache=False, settings=small).n_tokens == 3


def test_settings_come_from_the_environment(model: GPT2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASHAPP_CACHE_DIR", str(tmp_path / "there"))
    monkeypatch.setenv("DASHAPP_CACHE_SIZE", "10MB")
    api.trace(model, "The cat")
    assert len(list((tmp_path / "there" / "traces").glob("*.safetensors"))) == 1


def test_a_watcher_stops_a_generation(model: GPT2, settings: Settings) -> None:
    def watch(steps: Sequence[RunStep]) -> bool:
        return len(steps) == 2

    run = api.generate(model, "The cat", max_new_tokens=9, watch=watch, settings=settings)
    assert (len(run.steps), run.stop) == (2, "person")
    assert len(api.generate(model, "The cat", max_new_tokens=9, settings=settings).steps) > 2


def test_what_is_no_model_is_refused_with_the_call_that_gives_one() -> None:
    with pytest.raises(TypeError, match=r"dashapp\.load\('demo'\) gives one, not 'demo'"):
        api.trace("demo", "Hi")  # type: ignore[arg-type]


def test_dtype_that_no_model_runs_in_is_refused() -> None:
    with pytest.raises(UnsupportedDtype, match="float16"):
        api.load("demo", dtype="float16")  # type: ignore[arg-type]


def test_a_figure_is_that_of_the_page_with_what_is_left_out_as_at_first(text_model: GPT2) -> None:
    a, b = (dashapp.trace(text_model, text, cache=False) for text in ("a b c d", "a b x d"))
    looks = {"theme": "light", "text": 1, "units": "bits", "narrow": False}
    as_seen: dict[str, dict[str, Any]] = {
        "whole": {},
        "fit": {"pos": 1, "knobs": {"scale": "fit"}},
    }
    for scale, view in as_seen.items():
        whole = {**looks, "pos": view.get("pos", 4), "knobs": {"scale": scale}}
        page = draw(PANELS["next-tokens"], a, whole).figure
        assert json.loads(dashapp.figure("next-tokens", a, view).to_json()) == json.loads(page.to_json())
    pair = dashapp.figure("changed-stream", a, other=b)
    assert np.shape(pair.data[0].z) == (a.config.n_layer, 5)


def test_a_figure_or_view_that_there_is_not_is_refused(text_model: GPT2) -> None:
    trace = dashapp.trace(text_model, "a b c d", cache=False)
    with pytest.raises(ValueError, match="there is no figure 'heads'; there are next-tokens, "):
        dashapp.figure("heads", trace)
    with pytest.raises(ValueError, match="pos is outside the trace"):
        dashapp.figure("next-tokens", trace, {"pos": 5})
    with pytest.raises(ValueError, match="scale is none of its options"):
        dashapp.figure("next-tokens", trace, {"knobs": {"scale": "log"}})
    with pytest.raises(ValueError, match="two prompts"):
        dashapp.figure("changed-stream", trace)
