"""The panel of activation patching: what it asks for, what it says before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import dashapp
from dashapp.errors import OtherPlaces, WeightsMissing
from dashapp.experiments import interventions
from dashapp.experiments.interventions import estimate_patches, patch
from dashapp.experiments.sweeps import METRICS, SITES, Sweep, telling_tokens
from dashapp.figures.patching import signed
from dashapp.figures.theme import Frame, Units
from dashapp.jobs.patching import same_model
from dashapp.jobs.works import KINDS, Work
from dashapp.panels.lens_change import LENS_CHANGE
from dashapp.panels.panel import Drawn, waits_for_start
from dashapp.panels.patching import PATCHING, SITE_NAMES, answers_of, draw, exact_work, numbers, question, work
from dashapp.traces.record import Trace
from tests.doubles import TINY_TEXT, tiny_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashapp.model.gpt2 import GPT2

A, B, LONGER = "a b c d e", "a b x d e", "a b x y d e"


@pytest.fixture(scope="module")
def traces(text_model: GPT2) -> dict[str, Trace]:
    return {prompt: dashapp.trace(text_model, prompt, cache=False) for prompt in (A, B, LONGER)}


def chosen(a: Trace, b: Trace, **more: Any) -> dict[str, Any]:
    view = {"other": b, "n_prompt": a.n_tokens, "other_n_prompt": b.n_tokens, "layer": None}
    knobs = {"site": "resid_pre", "direction": "ab", "metric": "logit_diff", "how": "exact"}
    return view | {"target": None, "against": None} | knobs | more


def asked_for(a: Trace, b: Trace, **more: Any) -> Work:
    found = work(a, **chosen(a, b, **more))
    assert found is not None
    return found


def done(model: GPT2, into: Trace, asked: Work) -> dict[str, np.ndarray]:
    return patch(model, into, lambda share: None, **asked.arguments)


def drawn(
    a: Trace,
    b: Trace,
    result: dict[str, np.ndarray] | None,
    *,
    aside: dict[str, np.ndarray] | None = None,
    **more: Any,
) -> Drawn:
    return draw(a, frame=Frame(theme="light"), result=result, aside=aside, **chosen(a, b, **more))


def test_the_work_is_of_the_run_that_is_patched(traces: dict[str, Trace]) -> None:
    a, b = traces[A], traces[LONGER]
    into_b, into_a = asked_for(a, b), asked_for(a, b, direction="ba")
    assert (into_b.trace, into_b.arguments["source"]) == (b.key, a.token_ids.tolist())
    assert (into_a.trace, into_a.arguments["source"]) == (a.key, b.token_ids.tolist())
    assert (into_b.arguments["n_target"], into_a.arguments["n_target"]) == (b.n_tokens, a.n_tokens)
    assert into_a.arguments["tokens"] == into_b.arguments["tokens"][::-1]
    assert KINDS[into_b.kind].function == "dashapp.jobs.patching:patch_trace"


def test_what_was_generated_is_left_out(traces: dict[str, Trace]) -> None:
    asked = asked_for(traces[A], traces[B], n_prompt=4, other_n_prompt=5)
    assert asked.arguments["source"] == traces[A].token_ids[:4].tolist()
    assert asked.arguments["n_target"] == 5


def test_all_metrics_are_one_work_and_layers_matter_for_one_site_alone(traces: dict[str, Trace]) -> None:
    a, b = traces[A], traces[B]
    assert len({asked_for(a, b, metric=metric).key for metric in ("logit_diff", "logprob", "kl")}) == 1
    assert len({asked_for(a, b, layer=layer).key for layer in (None, 1, 2)}) == 1
    assert len({asked_for(a, b, layer=layer, site="z_pos").key for layer in (0, 1, 2)}) == 3


def test_answers_are_what_tells_the_prompts_apart_unless_they_are_chosen(traces: dict[str, Trace]) -> None:
    ends = [trace.logits_at(trace.n_tokens - 1) for trace in (traces[A], traces[B])]
    first, second = telling_tokens(*ends)
    assert answers_of(*ends, target=None, against=None) == (first, second)
    assert answers_of(*ends, target=7, against=9) == (7, 9)
    assert answers_of(*ends, target=7, against=None) == (7, second)
    assert answers_of(*ends, target=second, against=None) == (second, first)
    assert answers_of(*ends, target=7, against=7) == (7, second)
    assert question(traces[A], **chosen(traces[A], traces[B], target=7, against=9)).tokens == (7, 9)


def test_the_order_of_work_is_said_before_it_starts(traces: dict[str, Trace]) -> None:
    shown = drawn(traces[A], traces[B], None)
    # Three positions can change in 3 layers, all of them at once in each, and both prompts.
    assert "Start runs the model 14 times" in shown.foot
    assert "about a second on this machine" in shown.foot
    assert "Read after the last token of each prompt; the answer of a is ‘" in shown.foot
    assert np.isnan(np.array(shown.figure.data[0].z)).all()
    assert shown.figure.layout.meta["cells"] == [3, 6]


def test_equal_prompts_have_nothing_to_patch(traces: dict[str, Trace]) -> None:
    assert work(traces[A], **chosen(traces[A], traces[A])) is None
    assert "there is nothing to patch" in drawn(traces[A], traces[A], None).foot


def test_patterns_of_uneven_prompts_are_refused_with_the_reason(traces: dict[str, Trace]) -> None:
    with pytest.raises(OtherPlaces, match="source has 6 tokens and the target 7"):
        work(traces[A], **chosen(traces[A], traces[LONGER], site="pattern"))
    assert work(traces[A], **chosen(traces[A], traces[B], site="pattern")) is not None


def test_the_map_shows_what_was_found(traces: dict[str, Trace], text_model: GPT2) -> None:
    a, b = traces[A], traces[LONGER]
    result = done(text_model, b, asked_for(a, b))
    found = Sweep.from_arrays(result)
    for metric in ("logit_diff", "logprob", "kl"):
        shown = drawn(a, b, result, metric=metric)
        np.testing.assert_array_equal(np.array(shown.figure.data[0].z), found.effects(metric))
    assert shown.figure.layout.meta["slot"] == "b"
    assert "1 token has no counterpart and cannot be patched (×)." in shown.foot
    assert f"All tokens at once: {found.effects_together('kl')[0]:+.2f} in layer 0".replace("-", "−") in shown.foot
    crosses = shown.figure.data[-1]
    assert sorted(set(crosses.x)) == np.flatnonzero(np.isnan(found.values[0, 0])).tolist()


@pytest.mark.parametrize(("units", "per_nat"), [("bits", 1 / np.log(2)), ("nats", 1.0)])
def test_what_is_no_share_follows_the_units_of_the_app_but_for_logits(
    traces: dict[str, Trace], text_model: GPT2, units: Units, per_nat: float
) -> None:
    a, b = traces[A], traces[LONGER]
    result = done(text_model, b, asked_for(a, b))
    near = {**result, "source": result["target"] + 0.05}  # as if the runs were almost alike
    for metric, factor, unit in (("logit_diff", 1.0, "nats"), ("logprob", per_nat, units), ("kl", per_nat, units)):
        place = METRICS.index(metric)
        shown = draw(a, frame=Frame(theme="light", units=units), result=near, **chosen(a, b, metric=metric))
        expected = (result["values"][place] - result["target"][place]) * factor
        np.testing.assert_allclose(np.array(shown.figure.data[0].z), expected, rtol=1e-12)
        before = f"{result['target'][place] * factor:+.2f} {unit} in b".replace("-", "−")
        assert before in shown.foot
        assert f"less than 0.1 nats apart, so cells are {unit} and no shares" in shown.foot
        ends = {"other": b, "n_prompt": a.n_tokens, "other_n_prompt": b.n_tokens}
        table = numbers(a, **ends, site="resid_pre", direction="ab", metric=metric, units=units, result=near)
        assert table.quantity.endswith(f"{unit} moved (the runs are too close for shares)")
        np.testing.assert_allclose(table.values, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("site", "shape", "marks"), [("mlp_out", (3, 6), "layer_pos"), ("q", (3, 2), "head"), ("z_pos", (2, 6), "head_pos")]
)
def test_a_map_has_the_rows_and_columns_of_its_site(
    traces: dict[str, Trace], text_model: GPT2, site: str, shape: tuple[int, int], marks: str
) -> None:
    for direction, into in (("ab", "b"), ("ba", "a")):
        a, b = traces[A], traces[B]
        more = {"site": site, "direction": direction, "layer": 1}
        shown = drawn(a, b, done(text_model, b if into == "b" else a, asked_for(a, b, **more)), **more)
        assert np.array(shown.figure.data[0].z).shape == shape
        meta = shown.figure.layout.meta
        assert (meta["marks"], meta["slot"]) == (marks, into)
        assert meta["layer"] == (1 if site == "z_pos" else None)
        assert " passes took " in shown.foot


@pytest.mark.parametrize("site", SITES)
def test_every_site_is_offered_with_its_order_of_work(traces: dict[str, Trace], site: str) -> None:
    assert "Start runs the model" in drawn(traces[A], traces[B], None, site=site).foot
    assert set(SITE_NAMES) == set(SITES)


def test_a_patch_is_not_made_by_other_weights(traces: dict[str, Trace], text_model: GPT2) -> None:
    assert same_model(text_model, traces[A]) is text_model
    with pytest.raises(WeightsMissing, match="other weights now"):
        same_model(tiny_model(TINY_TEXT, seed=1), traces[A])


def test_estimates_are_their_own_work_and_are_said_to_be_estimates(traces: dict[str, Trace], text_model: GPT2) -> None:
    a, b = traces[A], traces[LONGER]
    exact, guess = asked_for(a, b), asked_for(a, b, how="estimate")
    assert (guess.kind, guess.arguments, guess.key != exact.key) == ("estimate", exact.arguments, True)
    assert drawn(a, b, None, how="estimate").foot.startswith("Being estimated from two passes")
    result = estimate_patches(text_model, b, lambda share: None, **guess.arguments)
    shown = drawn(a, b, result, how="estimate")
    np.testing.assert_array_equal(np.array(shown.figure.data[0].z), Sweep.from_arrays(result).effects("logit_diff"))
    assert shown.foot.startswith("An estimate: what gradients foretell, not what patches do.")
    assert any("estimated" in said.text for said in shown.figure.layout.annotations)
    with_both = done(text_model, b, exact)
    np.testing.assert_array_equal(with_both["estimate"], result["values"])
    both = drawn(a, b, with_both)
    assert "(gradients would say " in both.figure.data[0].text[0][-1]
    away = np.abs(Sweep.from_arrays(result).effects("logit_diff") - Sweep.from_arrays(with_both).effects("logit_diff"))
    assert f"with an error of at most {np.nanmax(away):.2f}:" in both.foot
    asked_too = exact_work(a, **chosen(a, b, how="estimate"))
    assert asked_too is not None
    assert asked_too.key == exact.key  # so the map of estimates finds the exact one once it is there
    assert exact_work(a, **chosen(a, b)) is None
    beside = drawn(a, b, result, aside=with_both, how="estimate")
    np.testing.assert_array_equal(np.array(beside.figure.data[0].z), np.array(shown.figure.data[0].z))
    number = Sweep.from_arrays(with_both).effects("logit_diff")[0, -1]
    assert beside.figure.data[0].text[0][-1].endswith(f"(the patch itself {signed(float(number))})")
    assert f"with an error of at most {np.nanmax(away):.2f}:" in beside.foot
    assert "The exact numbers are in the hovers." in beside.foot


def test_an_exact_map_stands_though_there_is_no_memory_for_estimates(
    traces: dict[str, Trace], text_model: GPT2, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = traces[A], traces[LONGER]
    asked = asked_for(a, b)
    both = done(text_model, b, asked)

    def failing(error: Exception) -> Callable[..., None]:
        def fail(*_: object, **__: object) -> None:
            raise error

        return fail

    monkeypatch.setattr(interventions, "estimate", failing(MemoryError()))
    alone = done(text_model, b, asked)
    assert both.keys() - alone.keys() == {"estimate"}
    np.testing.assert_array_equal(alone["values"], both["values"])
    assert "Gradients" not in drawn(a, b, alone).foot
    monkeypatch.setattr(interventions, "estimate", failing(RuntimeError("another reason")))
    with pytest.raises(RuntimeError, match="another reason"):
        done(text_model, b, asked)


def test_only_exact_sweeps_wait_for_start() -> None:
    assert waits_for_start(PATCHING, {"knobs": {"how": "exact"}})
    assert not waits_for_start(PATCHING, {"knobs": {"how": "estimate"}})
    assert not waits_for_start(LENS_CHANGE, {"knobs": {"scale": "frozen"}})
