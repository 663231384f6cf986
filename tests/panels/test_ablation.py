"""The panel of ablation: what it asks for, its parts by another way, and what it says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import dashapp
from dashapp.analysis.attribution import attribution, head_parts, mlp_parts
from dashapp.errors import NotAPart, OtherModels
from dashapp.experiments import interventions
from dashapp.experiments.ablations import MODES, Ablated, Mode
from dashapp.experiments.cells import N_NEW
from dashapp.figures.theme import Frame
from dashapp.jobs.works import KINDS, Work
from dashapp.model.examples import examples_of
from dashapp.model.registry import DEMO_FOLDER
from dashapp.panels.ablation import draw, work
from dashapp.panels.panel import Drawn
from dashapp.traces.record import Trace
from tests.doubles import TINY_TEXT, tiny_model

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2

A, B = "a b c d e", "a b x y d e"
LAYER, HEAD, TARGET, AGAINST = 1, 1, 262, 318
BOUND = 1e-4  # float32 products of ten numbers of about 1, by two ways


@pytest.fixture(scope="module")
def traces(text_model: GPT2) -> tuple[Trace, Trace]:
    return dashapp.trace(text_model, A, cache=False), dashapp.trace(text_model, B, cache=False)


def chosen(traces: tuple[Trace, Trace], **more: Any) -> dict[str, Any]:
    a, b = traces
    view = {"other": b, "n_prompt": a.n_tokens, "other_n_prompt": b.n_tokens, "layer": LAYER, "head": HEAD}
    tokens = {"pos": None, "other_pos": None, "key_pos": None, "neuron": None, "target": TARGET, "against": AGAINST}
    knobs = {"run": "a", "which": "head", "parts": "", "mode": "zero", "where": "all", "show": "parts"}
    return view | tokens | knobs | more


def asked(traces: tuple[Trace, Trace], **more: Any) -> Work:
    found = work(traces[0], **chosen(traces, **more))
    assert found is not None
    return found


def done(model: GPT2, traces: tuple[Trace, Trace], **more: Any) -> dict[str, np.ndarray]:
    into = traces[1] if more.get("run") == "b" else traces[0]
    return interventions.ablate(model, into, lambda share: None, **asked(traces, **more).arguments)


def drawn(traces: tuple[Trace, Trace], result: dict[str, np.ndarray] | None, **more: Any) -> Drawn:
    return draw(traces[0], frame=Frame(theme="light"), result=result, **chosen(traces, **more))


def cells(shown: Drawn, layer: int, head: int) -> list[float]:
    """What the maps show of a head, before and after."""
    heat = shown.figure.data[0]
    of = [[None if cell is None else list(cell) for cell in row] for row in heat.customdata]
    return [heat.z[i][j] for i, row in enumerate(of) for j, cell in enumerate(row) if cell == [layer, head]]


def own_part(trace: Trace, z: np.ndarray, ln_scale: float, place: tuple[int, int]) -> float:
    """What a head adds, from the vector that it writes: float64, step by step."""
    config, (layer, head) = trace.config, place
    rows = slice(head * config.d_head, (head + 1) * config.d_head)
    weight = {
        name: trace.weights.float32(name).astype(np.float64)
        for name in (f"h.{layer}.attn.c_proj.weight", f"h.{layer}.attn.c_attn.bias", "ln_f.weight", "wte.weight")
    }
    bias = weight[f"h.{layer}.attn.c_attn.bias"][2 * config.d_model :][rows]
    written = (z[layer, head] - bias) @ weight[f"h.{layer}.attn.c_proj.weight"][rows]
    normed = (written - written.mean()) * ln_scale * weight["ln_f.weight"]
    return float(normed @ (weight["wte.weight"][TARGET] - weight["wte.weight"][AGAINST]))


@pytest.mark.parametrize("run", ["a", "b"])
@pytest.mark.parametrize("mode", MODES)
def test_maps_show_what_every_head_adds_before_and_after(
    traces: tuple[Trace, Trace], text_model: GPT2, mode: Mode, run: str
) -> None:
    trace = traces[0] if run == "a" else traces[1]
    result = done(text_model, traces, mode=mode, run=run)
    shown = drawn(traces, result, mode=mode, run=run)
    before = attribution(trace, trace.n_tokens - 1, target=TARGET, against=AGAINST).heads
    for place in np.ndindex(3, 2):
        was, now = cells(shown, *place)
        assert was == pytest.approx(before[place], abs=BOUND)
        assert now == pytest.approx(own_part(trace, result["z"], float(result["ln_scale"][0]), place), abs=BOUND)
    if mode == "bias":
        assert cells(shown, LAYER, HEAD)[1] == pytest.approx(0, abs=1e-6)  # a head counts without its value bias
    heat = shown.figure.data[0]
    assert heat.zmin == -heat.zmax
    assert shown.figure.layout.meta["marks"] == "head"
    moved = (result["logits"][TARGET] - result["logits"][AGAINST]) - (
        trace.logits_at(trace.n_tokens - 1)[TARGET] - trace.logits_at(trace.n_tokens - 1)[AGAINST]
    )
    told = re.search(r" moves (\S+) nats", shown.foot)
    assert told is not None
    assert float(told[1].replace("−", "-")) == pytest.approx(float(moved), rel=0.006, abs=BOUND)  # told in three digits


def test_the_work_names_heads_and_the_other_prompt_only_where_it_counts(traces: tuple[Trace, Trace]) -> None:
    a, b = traces
    zero, resample = asked(traces), asked(traces, mode="resample", which="layer", where="end", run="b")
    assert (zero.trace, zero.arguments["parts"], zero.arguments["source"]) == (a.key, ["L1H1"], a.token_ids.tolist())
    assert resample.trace == b.key
    assert resample.arguments["source"] == a.token_ids.tolist()
    assert (resample.arguments["parts"], resample.arguments["is_end_only"]) == (["L1H0", "L1H1"], True)
    assert asked(traces, show="tokens", target=None).key == zero.key
    assert KINDS[zero.kind].function == "dashapp.jobs.patching:ablate_trace"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"head": None}, "No head"),
        ({"layer": None}, "No head"),
        ({"layer": None, "which": "layer"}, "No layer"),
        ({"layer": None, "which": "mlp"}, "No layer"),
        ({"which": "neuron"}, "No neuron"),
        ({"which": "edge", "pos": 3, "other_pos": 3}, "No pair"),
    ],
)
def test_without_a_part_nothing_is_asked_for(traces: tuple[Trace, Trace], more: dict[str, Any], says: str) -> None:
    assert work(traces[0], **chosen(traces, **more)) is None
    assert drawn(traces, None, **more).foot.startswith(says)


@pytest.mark.parametrize(
    ("mode", "n_read"),
    [("zero", 0), ("bias", 0), ("mean", 1), ("reference", len(examples_of(DEMO_FOLDER))), ("resample", 1)],
)
def test_the_order_of_work_is_said_as_it_starts(traces: tuple[Trace, Trace], mode: str, n_read: int) -> None:
    n_step = min(N_NEW, traces[0].config.n_ctx - traces[0].n_tokens) - 1
    foot = drawn(traces, None, mode=mode).foot
    assert f"the model runs up to {2 + n_read + 2 * n_step} times, about a second on this machine." in foot


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        ({"which": "mlp"}, ["L1MLP"]),
        ({"which": "neuron", "neuron": 7}, ["L1N7"]),
        ({"which": "edge", "pos": 4, "other_pos": 4, "key_pos": 1}, ["L1H1:4>1"]),
        ({"which": "edge", "pos": 4, "other_pos": 4, "key_pos": 1, "head": None}, ["L1:4>1"]),
        ({"which": "edge", "pos": 4, "other_pos": 4, "key_pos": 1, "layer": None}, ["4>1"]),
        ({"parts": "l0h1, 3>2 L2MLP"}, ["L0H1", "3>2", "L2MLP"]),
    ],
)
def test_parts_are_what_is_selected_or_what_is_typed(
    traces: tuple[Trace, Trace], more: dict[str, Any], parts: list[str]
) -> None:
    assert asked(traces, **more).arguments["parts"] == parts


def test_a_pair_of_b_is_that_of_the_counterparts(text_model: GPT2) -> None:
    pair = dashapp.trace(text_model, "a b c", cache=False), dashapp.trace(text_model, "x a b c", cache=False)
    a, b = pair
    at_end = {"pos": a.n_tokens - 1, "other_pos": b.n_tokens - 1, "layer": None, "which": "edge", "run": "b"}
    assert asked(pair, **at_end, key_pos=2).arguments["parts"] == [f"{b.n_tokens - 1}>3"]


def test_what_is_typed_wrongly_is_refused(traces: tuple[Trace, Trace]) -> None:
    with pytest.raises(NotAPart, match="'L9H9' is outside of the model"):
        work(traces[0], **chosen(traces, parts="L9H9"))


def test_what_heads_and_mlps_add_without_a_part_accounts_for_the_logit(
    traces: tuple[Trace, Trace], text_model: GPT2
) -> None:
    """Embeddings and biases add what they did, but for the final spread."""
    a = traces[0]
    result = done(text_model, traces, parts="L0H1 L1MLP L2N3 4>1")
    found, end = Ablated.from_arrays(result), a.n_tokens - 1
    goal: Any = {"target": TARGET, "against": AGAINST}
    before, unit = attribution(a, end, **goal), float(a.read("ln_scale", -1)[end])
    heads, mlps = (
        of(a, stored, ln_scale=unit, **goal).sum() for of, stored in ((head_parts, found.z), (mlp_parts, found.mlp_out))
    )
    rest = before.whole - before.final_bias - before.heads.sum() - before.mlps.sum()
    whole = (rest + heads + mlps) * found.ln_scale / unit + before.final_bias
    assert whole == pytest.approx(float(found.logits[TARGET] - found.logits[AGAINST]), abs=BOUND)


def test_several_parts_are_told_in_words_and_the_text_with_them(traces: tuple[Trace, Trace], text_model: GPT2) -> None:
    typed = "L0H1 L1MLP 3>1"
    foot = drawn(traces, done(text_model, traces, parts=typed, mode="reference"), parts=typed, mode="reference").foot
    assert "Of a: in the place of head 1 of layer 0 and the MLP of layer 1 stands its mean over the examples" in foot
    assert "Cut in a: token 3 ‘" in foot
    assert "The likeliest text that follows: without ‘" in foot
    assert "own share" not in foot  # of a cut pair there is none


def test_next_tokens_are_shown_before_and_after(traces: tuple[Trace, Trace], text_model: GPT2) -> None:
    result = done(text_model, traces, which="layer")
    shown = drawn(traces, result, show="tokens", which="layer", target=None, against=None)
    assert [bars.name for bars in shown.figure.data] == ["in a", "ablated"]
    assert shown.figure.layout.meta["marks"] == "vocabulary"
    assert "in the place of all 2 heads of layer 1 stands 0 at every token of the prompt." in shown.foot
    assert "over the mean of all tokens moves" in shown.foot
    assert "The parts’ own shares of it: " in shown.foot
    assert [bars.name for bars in drawn(traces, None, show="tokens").figure.data] == ["in a"]


def test_another_model_cannot_be_resampled_from_but_does_not_hinder_the_rest(
    traces: tuple[Trace, Trace], text_model: GPT2
) -> None:
    other = dashapp.trace(tiny_model(TINY_TEXT, seed=1), B, cache=False)
    assert asked((traces[0], other)).key == asked(traces).key
    with pytest.raises(OtherModels):
        work(traces[0], **chosen((traces[0], other), mode="resample"))
