from __future__ import annotations

import re
import time
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask

from dashapp.errors import DamagedTrace
from dashapp.figures.theme import AMOUNTS, THEMES, ThemeName
from dashapp.model.config import GPT2Config
from dashapp.model.gpt2 import GPT2
from dashapp.panels.source import Source
from dashapp.shell.strip_attention import GONE, PATH, add_route, encoded_weights, weights_of
from dashapp.traces.capture import capture
from dashapp.traces.record import Trace, trace_metadata
from tests.doubles import TINY, stored_rtol

CSS = Path(__file__).parents[2] / "dashapp/assets/css/12-strip.css"
KEY = "a" * 64

ROW_RTOL = 1e-7  # weights travel as float32, 6e-8 of a value; a column is off by what `stored_rtol` tells, too


@pytest.fixture(scope="module")
def trace(model: GPT2) -> Trace:
    ids = np.array([3, 1, 4, 1, 5, 9, 2], dtype=np.int32)
    return capture(model, ids, trace_metadata(TINY, fingerprint="f" * 64, model="tiny", dtype="float32"))


def view(**more: object) -> dict[str, Any]:
    return {"key": KEY, "pos": 4, "layer": None, "head": None, "direction": "looks_at", **more}


def decoded(text: str) -> np.ndarray:
    return np.frombuffer(b64decode(text), dtype="<f4")


def pattern(trace: Trace, layer: int, head: int) -> np.ndarray:
    """softmax(q kᵀ · scale) as the formula has it, float64 [query key]."""
    q, k = trace.q[layer, head].astype(np.float64), trace.k[layer, head].astype(np.float64)
    weights = np.exp(q @ k.T * trace.config.attn_scale(layer)) * np.tri(len(q))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def every_pattern(trace: Trace) -> np.ndarray:
    heads = [(layer, head) for layer in range(TINY.n_layer) for head in range(TINY.n_head)]
    return np.array([pattern(trace, layer, head) for layer, head in heads])


# The numbers ---------------------------------------------------------------------------------------------------------


def test_a_head_tells_its_row_and_its_column(trace: Trace) -> None:
    whole = pattern(trace, 2, 1)
    row = encoded_weights(trace, view(layer=2, head=1))
    column = encoded_weights(trace, view(layer=2, head=1, direction="looked_at_by"))
    np.testing.assert_allclose(decoded(row), whole[4], rtol=ROW_RTOL)
    np.testing.assert_allclose(decoded(column), whole[:, 4], rtol=stored_rtol(trace))


def test_without_a_head_it_is_the_mean_over_all_heads_of_all_layers(trace: Trace) -> None:
    mean = every_pattern(trace).mean(axis=0)
    np.testing.assert_allclose(decoded(encoded_weights(trace, view())), mean[4], rtol=ROW_RTOL)
    column = encoded_weights(trace, view(direction="looked_at_by"))
    np.testing.assert_allclose(decoded(column), mean[:, 4], rtol=stored_rtol(trace))


@pytest.mark.parametrize(
    "wrong",
    [
        *({"pos": value} for value in (-1, 7, None, True, "1", 1.0)),
        *({"layer": layer, "head": head} for layer, head in ((3, 0), (0, 2), (0, None), (None, 0), (True, 0))),
        *({"direction": value} for value in ("both", None, ["looks_at"])),
    ],
)
def test_a_view_of_what_the_trace_has_not_is_refused(trace: Trace, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"is not one of|looks at others"):
        encoded_weights(trace, view(**wrong))


# What the browser is told --------------------------------------------------------------------------------------------


class Shelf:
    """A source with one trace, or none."""

    def __init__(self, trace: Trace | None) -> None:
        self._trace = trace

    def trace(self, key: object) -> Trace | None:
        return self._trace if key == KEY else None


class Damaged(Trace):
    def read(self, name: str, layer: int | None = None) -> np.ndarray:
        raise DamagedTrace("x.safetensors", "it was cut short")


def test_weights_are_told_with_the_view_that_they_answer(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Source, "here", lambda: Shelf(trace))
    told = weights_of(view())
    assert {name: told[name] for name in view()} == view()
    assert decoded(told["weights"]).shape == (7,)


def test_a_browser_asks_by_post_and_nothing_of_it_is_kept(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Source, "here", lambda: Shelf(trace))
    server = Flask("test")
    add_route(server)
    client = server.test_client()
    answered = client.post(PATH, json=view())
    assert answered.get_json() == weights_of(view())
    assert answered.headers["Cache-Control"] == "no-store"
    assert client.get(PATH).status_code == 405
    told: tuple[object, ...] = (view(pos=7), [], None, "x")
    for nonsense in told:
        assert client.post(PATH, json=nonsense).status_code == 400
    assert client.post(PATH, data="{").status_code == 400


def test_a_trace_that_is_gone_or_damaged_is_said(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Source, "here", lambda: Shelf(None))
    assert weights_of(view()) == view(fault=GONE)
    damaged = Damaged({"token_ids": trace.token_ids, "thumbnails": trace.read("thumbnails")}, trace.metadata)
    damaged.token_ids = trace.token_ids
    monkeypatch.setattr(Source, "here", lambda: Shelf(damaged))
    monkeypatch.setattr(Damaged, "n_tokens", 7)
    assert "it was cut short" in weights_of(view())["fault"]


# Its time ------------------------------------------------------------------------------------------------------------


class Queries(Trace):
    """As much of a trace as attention reads, in memory."""

    def __init__(self, config: GPT2Config, tensors: dict[str, np.ndarray]) -> None:
        super().__init__(tensors, trace_metadata(config, fingerprint="f" * 64, model="big", dtype="float32"))


@pytest.mark.parametrize(("direction", "pos"), [("looks_at", 1023), ("looked_at_by", 0)])
def test_a_thousand_tokens_in_all_heads_of_gpt2_take_less_than_200_ms(direction: str, pos: int) -> None:
    """The longest row and column: 10 ms here, so the limit leaves room for a machine twenty times slower."""
    config = GPT2Config(n_layer=12, n_head=12, d_model=768, d_mlp=3072, n_ctx=1024)
    random = np.random.default_rng(0)
    q, k = (random.standard_normal((12, 12, 1024, 64), dtype=np.float32) for _ in range(2))
    sums = np.zeros((12, 12, 1024), dtype=np.float32)
    trace = Queries(config, {"q": q, "k": k, "attn_logsumexp": sums, "token_ids": np.zeros(1024, dtype=np.int32)})
    asked = view(pos=pos, direction=direction)
    encoded_weights(trace, asked)  # touches the memory
    began = time.process_time()
    encoded_weights(trace, asked)
    assert time.process_time() - began < 0.2


# Colours -------------------------------------------------------------------------------------------------------------


def channels(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def luminance(rgb: np.ndarray) -> float:
    """Relative luminance (WCAG 2.2)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_can_be_read_on_every_tint_and_the_bar_seen_beside_it(theme: ThemeName) -> None:
    """The two mixtures of the stylesheet, over all weights. WCAG 2.2: text 4.5:1, marks 3:1."""
    css = CSS.read_text()
    deepest = float(re.findall(r"var\(--amounts-2\) calc\(var\(--weight\) \* (\d+)%\), var\(--paper\)", css)[0]) / 100
    steep = (
        float(re.findall(r"var\(--ink\) min\(100%, calc\(var\(--weight\) \* (\d+)%\)\), var\(--muted\)", css)[0]) / 100
    )
    colours = THEMES[theme]
    paper, ink, muted, amount = (channels(getattr(colours, name)) for name in ("paper", "ink", "muted", "amount"))
    for weight in np.linspace(0, 1, 201):
        tint = paper + (channels(AMOUNTS[theme][2]) - paper) * weight * deepest
        mark = muted + (ink - muted) * min(1, weight * steep)
        assert contrast(ink, tint) >= 4.5
        assert contrast(mark, tint) >= 4.5
    assert contrast(amount, paper) >= 3
    assert "linear-gradient(var(--amount), var(--amount)) bottom" in css
