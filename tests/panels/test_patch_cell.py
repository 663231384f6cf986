"""The panel of one patch: what it asks for, when it asks for nothing, and that it tells what a sweep's cell does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import dashapp
from dashapp.errors import OtherModels, OtherPlaces
from dashapp.experiments import interventions
from dashapp.experiments.cells import N_NEW
from dashapp.experiments.sweeps import HEAD_SITES, SITES, Site, Sweep
from dashapp.figures.theme import Frame
from dashapp.jobs.works import KINDS, Work
from dashapp.panels import patching as sweeps
from dashapp.panels.panel import Drawn
from dashapp.panels.patch_cell import draw, work
from dashapp.traces.record import Trace
from tests.doubles import TINY_TEXT, tiny_model
from tests.panels.test_patching import LONGER, A, B, asked_for

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2

LAYER, HEAD, POS = 1, 1, 4
FLOAT32 = 1e-4  # of the metric: issue 7


@pytest.fixture(scope="module")
def traces(text_model: GPT2) -> dict[str, Trace]:
    return {prompt: dashapp.trace(text_model, prompt, cache=False) for prompt in (A, B, LONGER)}


def chosen(a: Trace, b: Trace, **more: Any) -> dict[str, Any]:
    view = {"other": b, "n_prompt": a.n_tokens, "other_n_prompt": b.n_tokens, "pos": POS, "other_pos": POS}
    view |= {"layer": LAYER, "head": HEAD, "target": None, "against": None}
    return view | {"site": "resid_pre", "direction": "ab", "scale": "even", "show": "tokens"} | more


def asked(a: Trace, b: Trace, **more: Any) -> Work:
    found = work(a, **chosen(a, b, **more))
    assert found is not None
    return found


def done(model: GPT2, into: Trace, asked: Work) -> dict[str, np.ndarray]:
    return interventions.patch_one(model, into, lambda share: None, **asked.arguments)


def drawn(a: Trace, b: Trace, result: dict[str, np.ndarray] | None, **more: Any) -> Drawn:
    return draw(a, frame=Frame(theme="light"), result=result, **chosen(a, b, **more))


@pytest.mark.parametrize("direction", ["ab", "ba"])
@pytest.mark.parametrize("site", SITES)
def test_a_patch_moves_what_its_cell_of_the_sweep_says(
    traces: dict[str, Trace], text_model: GPT2, site: Site, direction: str
) -> None:
    a, b = traces[A], traces[B]
    into = b if direction == "ab" else a
    knobs = {"site": site, "direction": direction, "layer": LAYER}
    sweep = Sweep.from_arrays(
        interventions.patch(text_model, into, lambda share: None, **asked_for(a, b, **knobs).arguments)
    )
    one = done(text_model, into, asked(a, b, **knobs))
    question = sweeps.question(a, other=b, n_prompt=6, other_n_prompt=6, target=None, against=None, **knobs)
    answer, other = question.tokens
    value = float(one["logits"][answer]) - float(one["logits"][other])
    row = HEAD if site == "z_pos" else LAYER
    column = HEAD if site in HEAD_SITES else POS
    assert value == pytest.approx(sweep.values[0, row, column], abs=FLOAT32 * 10)  # logits of up to 10
    shown = drawn(a, b, one, **knobs)
    told = re.search(r" moves ([+−][0-9.]+) of the way", shown.foot)
    assert told is not None
    # Told with two decimals.
    assert float(told[1].replace("−", "-")) == pytest.approx(sweep.effects("logit_diff")[row, column], abs=0.006)
    assert [bars.name for bars in shown.figure.data] == ["in a", "in b", "patched"]
    if site in HEAD_SITES:
        assert f"layer {LAYER}, head {HEAD}, from {'a' if direction == 'ab' else 'b'}." in shown.foot


def test_the_work_names_the_cell_alone_and_not_what_is_read_from_it(traces: dict[str, Trace]) -> None:
    a, b = traces[A], traces[LONGER]
    one = asked(a, b, other_pos=5)
    assert one.trace == b.key
    assert one.arguments["cell"] == {"site": "resid_pre", "layer": LAYER, "head": 0, "pos": 5}
    assert KINDS[one.kind].function == "dashapp.jobs.patching:patch_cell_of_trace"
    same = {asked(a, b, other_pos=5, **more).key for more in ({"head": None}, {"target": 7}, {"scale": "log"})}
    assert same == {one.key}
    heads = asked(a, b, site="z", other_pos=5)
    assert heads.arguments["cell"] == {"site": "z", "layer": LAYER, "head": HEAD, "pos": 0}
    assert asked(a, b, direction="ba").trace == a.key


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"layer": None}, "No patch is chosen. Select a layer and a token"),
        ({"site": "v", "head": None}, "No patch is chosen. Select a layer and a head"),
        ({"other_pos": 1}, "Both runs are the same up to there"),
        ({"other_pos": 6, "other_n_prompt": 6}, "That token was generated"),
        ({"other_pos": 4}, "That token has no counterpart in the other prompt"),
    ],
)
def test_a_patch_that_cannot_be_is_not_asked_for_and_said_to_be_none(
    traces: dict[str, Trace], more: dict[str, Any], said: str
) -> None:
    a, b = traces[A], traces[LONGER]
    assert work(a, **chosen(a, b, **more)) is None
    shown = drawn(a, b, None, **more)
    assert said in shown.foot
    assert [bars.name for bars in shown.figure.data] == ["in a", "in b"]


def test_the_order_of_work_is_said_as_it_starts(traces: dict[str, Trace]) -> None:
    foot = drawn(traces[A], traces[B], None).foot
    passes = 3 + 3 * (min(N_NEW, TINY_TEXT.n_ctx - 6) - 1)  # three prompts of 6 tokens, each continued
    assert f"Being computed: the model runs up to {passes} times, about a second on this machine." in foot


def test_equal_prompts_have_nothing_to_patch(traces: dict[str, Trace]) -> None:
    assert work(traces[A], **chosen(traces[A], traces[A])) is None
    assert "nothing to patch" in drawn(traces[A], traces[A], None).foot


def test_what_does_not_go_together_is_refused(traces: dict[str, Trace]) -> None:
    with pytest.raises(OtherPlaces):
        work(traces[A], **chosen(traces[A], traces[LONGER], site="pattern"))
    other = dashapp.trace(tiny_model(TINY_TEXT, seed=1), B, cache=False)
    with pytest.raises(OtherModels):
        work(traces[A], **chosen(traces[A], other))


def test_the_texts_that_follow_are_told(traces: dict[str, Trace], text_model: GPT2) -> None:
    a, b = traces[A], traces[B]
    shown = drawn(a, b, done(text_model, b, asked(a, b)))
    assert "Patched: residual stream before a layer, layer 1, token 4 ‘·d’ of b, from a." in shown.foot
    assert "The likeliest text that follows: patched ‘" in shown.foot
    assert "; a ‘" in shown.foot
    assert "; b ‘" in shown.foot


def test_attention_that_changes_is_the_divergence_of_both_runs_last_rows(
    traces: dict[str, Trace], text_model: GPT2
) -> None:
    a, b = traces[A], traces[LONGER]
    result = done(text_model, b, asked(a, b, other_pos=5))
    shown = drawn(a, b, result, show="attention", other_pos=5)
    for layer in range(TINY_TEXT.n_layer):
        for head in range(TINY_TEXT.n_head):
            p, q = (result[name][layer, head].astype(np.float64) for name in ("looks", "looks_patched"))
            m = (p + q) / 2
            apart = sum((r[r > 0] * np.log2(r[r > 0] / m[r > 0])).sum() for r in (p, q)) / 2
            assert shown.figure.data[0].z[layer][head] == pytest.approx(apart, abs=1e-9)
    assert np.argmax(result["looks"][0], axis=-1).shape == (TINY_TEXT.n_head,)
    own = b.read("q", LAYER)  # the target's rows are those of its own trace
    scores = own[HEAD, -1].astype(np.float64) @ b.read("k", LAYER)[HEAD].astype(np.float64).T
    weights = np.exp(scores / np.sqrt(TINY_TEXT.d_head))
    np.testing.assert_allclose(result["looks"][LAYER, HEAD], weights / weights.sum(), atol=1e-5)
    assert "From the last token, layer" in shown.foot
    assert shown.figure.layout.meta["marks"] == "head"
    assert not drawn(a, b, None, show="attention", other_pos=5).figure.data  # no zeros that nobody computed
