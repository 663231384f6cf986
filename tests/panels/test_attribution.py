"""What the lens and attribution panels say below their figures, and what they attribute without being told."""

from __future__ import annotations

import json
import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import dashapp
from dashapp.figures.tokens import plain_label
from dashapp.model.config import GPT2Config
from dashapp.model.tokenizer import token_text
from dashapp.panels.catalogue import PANELS
from dashapp.panels.panel import Drawn, draw
from dashapp.traces.record import Trace, trace_metadata
from tests.doubles import weight_shapes

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2

GPT2_SMALL = GPT2Config()
LARGEST_RESPONSE_BYTES = 2_000_000  # uncompressed, as promised
NAMES = ["logit-lens", "attribution", "head-attribution"]


@pytest.fixture(scope="module")
def trace(text_model: GPT2) -> Trace:
    return dashapp.trace(text_model, "The <b> sat on a mat", cache=False)


def drawn(name: str, trace: Trace, *, pos: int = 2, knobs: dict[str, str] | None = None, **chosen: Any) -> Drawn:
    defaults = {knob.name: knob.default for knob in PANELS[name].knobs}
    view = {"theme": "light", "text": 1, "pos": pos, "target": None, "against": None, "knobs": defaults | (knobs or {})}
    return draw(PANELS[name], trace, view | chosen)


def quoted(token: int) -> str:
    return f"‘{plain_label(token_text(token))}’"


def test_without_a_target_the_output_s_favourite_is_attributed_over_the_mean(trace: Trace) -> None:
    best = int(trace.read("top_ids")[2, 0])
    logits = trace.logits[2].astype(np.float64)
    for name in NAMES[1:]:
        foot = drawn(name, trace).foot
        assert foot.startswith(
            f"{quoted(best)} over the mean of all tokens (the output’s favourite), after token 2 ‘·<’:"
        )
        assert f"{logits[best] - logits.mean():+.3g} nats" in foot


def test_the_runner_up_is_the_likeliest_other_token(trace: Trace) -> None:
    best, second = (int(token) for token in trace.read("top_ids")[2, :2])
    assert drawn("attribution", trace, knobs={"over": "second"}).foot.startswith(
        f"{quoted(best)} over {quoted(second)}"
    )
    foot = drawn("attribution", trace, knobs={"over": "second"}, target=second).foot
    assert foot.startswith(f"{quoted(second)} over {quoted(best)} (the target you chose)")


def test_a_chosen_pair_is_attributed_whatever_the_knob_says(trace: Trace) -> None:
    for over in ("mean", "second"):
        foot = drawn("attribution", trace, knobs={"over": over}, target=262, against=464).foot
        assert foot.startswith("‘·the’ over ‘The’ (the target you chose, compared with the token you chose)")
        difference = float(trace.logits[2, 262]) - float(trace.logits[2, 464])
        assert f"{difference:+.3g} nats".replace("-", "−") in foot


def test_the_sum_check_is_on_screen_and_within_a_thousandth(trace: Trace) -> None:
    foot = drawn("attribution", trace, target=262).foot
    remainder = foot.split("what is left is ")[1].removesuffix(": rounding.")
    assert abs(float(remainder.replace("−", "-"))) < 1e-3


def test_a_remainder_that_is_not_rounding_is_told() -> None:
    wrong = with_other_values()
    assert drawn("attribution", wrong, target=262).foot.endswith("more than rounding leaves in most models.")


def with_other_values() -> Trace:
    from tests.doubles import TINY_TEXT, tiny_model

    trace = dashapp.trace(tiny_model(TINY_TEXT), "The cat sat", cache=False)
    names = ("token_ids", "resid", "ln_scale", "q", "k", "v", "top_ids")
    tensors = {name: trace.read(name) for name in names}
    return Trace(tensors | {"v": trace.v * np.float32(1.1)}, trace.metadata, weights=trace.weights)


def test_a_model_that_rounds_says_why_its_parts_do_not_add_up(text_model: GPT2) -> None:
    import copy

    import torch

    rounded = dashapp.trace(copy.deepcopy(text_model).to(torch.bfloat16), "The cat sat", cache=False)
    assert drawn("attribution", rounded, pos=1).foot.endswith("a model in bfloat16 rounds after each step.")


def test_the_lens_tells_the_favourite_and_where_it_settles(trace: Trace) -> None:
    best, prob = int(trace.read("top_ids")[2, 0]), math.exp(trace.read("top_logprobs")[2, 0])
    foot = drawn("logit-lens", trace).foot
    assert f"the output’s likeliest token is {quoted(best)} with {100 * prob:.3g}%. It settles at ‘" in foot


def test_chosen_tokens_get_lines_of_their_own(trace: Trace) -> None:
    best = int(trace.read("top_ids")[2, 0])
    lines = [
        each.name for each in drawn("logit-lens", trace, target=262, against=464).figure.data if each.xaxis == "x2"
    ]
    assert [line.split(" (")[1] for line in lines] == ["favourite)", "target)", "compared with)"]
    assert len([each for each in drawn("logit-lens", trace, target=best).figure.data if each.xaxis == "x2"]) == 1


def test_written_tokens_get_lines_of_their_own_and_what_was_not_found_whole_is_said(trace: Trace) -> None:
    shown = drawn("logit-lens", trace, knobs={"follow": 'cat, "dog", zebrafish, #50257,#464'})
    names = [each.name for each in shown.figure.data if each.xaxis == "x2"]
    assert names[1:] == ["·cat (yours)", "dog (yours)", "The (yours)"]
    looks = {(each.line.dash, each.marker.symbol) for each in shown.figure.data if each.xaxis == "x2"}
    assert len(looks) == len(names)
    for fault in ("zebrafish", "#50257"):
        assert fault in shown.foot


def test_a_text_that_is_too_long_is_refused(trace: Trace) -> None:
    with pytest.raises(ValueError, match="follow is none of its options"):
        drawn("logit-lens", trace, knobs={"follow": "x" * 121})


@pytest.mark.parametrize("field", ["target", "against"])
@pytest.mark.parametrize("value", [-1, 50_257, True, 1.0, "262"])
def test_a_token_outside_the_vocabulary_is_refused(trace: Trace, field: str, value: Any) -> None:
    for name in NAMES:
        with pytest.raises(ValueError, match=f"{field} is outside the trace"):
            drawn(name, trace, **{field: value})


class SmallWeights:
    """Weights of GPT-2 small's shape."""

    fingerprint = "f" * 64

    def float32(self, name: str, *, dtype: str = "float32") -> np.ndarray:
        return weight(name)


@cache
def weight(name: str) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(weight_shapes(GPT2_SMALL)[name], dtype=np.float32)


@cache
def largest() -> Trace:
    """1,024 tokens of GPT-2 small's shape. Layers share their memory."""
    generator, config = np.random.default_rng(0), GPT2_SMALL
    heads = generator.standard_normal((config.n_head, config.n_ctx, config.d_head), dtype=np.float32)
    resid = generator.standard_normal((config.n_ctx, config.d_model), dtype=np.float32)
    n_point = 2 * config.n_layer + 1
    tensors = {
        **{name: np.broadcast_to(heads, (config.n_layer, *heads.shape)) for name in "qkv"},
        "resid": np.broadcast_to(resid, (n_point, *resid.shape)),
        "ln_scale": np.ones((n_point, config.n_ctx), dtype=np.float32),
        "token_ids": np.arange(config.n_ctx, dtype=np.int32),
        "top_ids": np.tile(np.arange(20, dtype=np.int32), (config.n_ctx, 1)),
    }
    metadata = trace_metadata(config, fingerprint=SmallWeights.fingerprint, model="small", dtype="float32")
    return Trace(tensors, metadata | {"format": "1"}, weights=SmallWeights())


@pytest.mark.parametrize("name", NAMES)
def test_no_response_is_over_two_megabytes_at_the_longest_prompt(name: str) -> None:
    shown = drawn(name, largest(), pos=1023)
    assert len(shown.figure.to_json()) + len(json.dumps(shown.foot)) < LARGEST_RESPONSE_BYTES
