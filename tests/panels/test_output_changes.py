"""The panels of what two prompts make the model say: their numbers are the analyses', and the foot tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import dashapp
from dashapp.analysis.alignment import align
from dashapp.analysis.changes import next_token_change, surprisal_change
from dashapp.figures.numbers import percent
from dashapp.figures.theme import Frame
from dashapp.figures.tokens import plain_label
from dashapp.model.tokenizer import token_text
from dashapp.panels.output_changes import draw_next, draw_surprisal, left_out
from dashapp.traces.record import Trace

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2

FRAME = Frame(theme="light")


@pytest.fixture(scope="module")
def pair(text_model: GPT2) -> tuple[Trace, Trace]:
    a, b = (dashapp.trace(text_model, prompt, cache=False) for prompt in ("a b x y d e", "a b c d e"))
    return a, b


def test_next_tokens_are_drawn_and_told(pair: tuple[Trace, Trace]) -> None:
    a, b = pair
    shown = draw_next(a, other=b, pos=6, other_pos=5, choice="change", scale="even", frame=FRAME)
    found = next_token_change(a, 6, b, 5, n=8, choice="change")
    np.testing.assert_array_equal(shown.figure.data[1].x, found.in_b)
    assert shown.foot.startswith("After token 6 ‘·e’ of a and token 5 ‘·e’ of b. ")
    assert f"{found.apart.js:.3g} bits. Furthest apart: ‘" in shown.foot
    in_nats = draw_next(
        a, other=b, pos=6, other_pos=5, choice="change", scale="even", frame=Frame(theme="light", units="nats")
    )
    assert f"{found.apart.js * np.log(2):.3g} nats." in in_nats.foot


def test_what_each_prompt_expects_most_is_told(pair: tuple[Trace, Trace]) -> None:
    a, b = pair
    n_same = 0
    for pos in range(1, b.n_tokens):
        shown = draw_next(a, other=b, pos=pos, other_pos=pos, choice="change", scale="even", frame=FRAME)
        first, second = (int(trace.logits_at(pos).argmax()) for trace in pair)
        chances = [percent(float(torch.softmax(torch.tensor(each.logits_at(pos)).double(), 0).max())) for each in pair]
        words = [f"‘{plain_label(token_text(token))}’" for token in (first, second)]
        if first == second:
            n_same += 1
            said = f"Both expect {words[0]} most: {chances[0]} in a, {chances[1]} in b."
        else:
            said = f"Likeliest is {words[0]} in a, {chances[0]}, and {words[1]} in b, {chances[1]}."
        assert said in shown.foot
    assert 0 < n_same < b.n_tokens - 1  # both sentences were seen


def test_equal_expectations_are_said_to_be_equal(pair: tuple[Trace, Trace]) -> None:
    a = pair[0]
    shown = draw_next(a, other=a, pos=6, other_pos=6, choice="change", scale="even", frame=FRAME)
    assert "The two distributions are equal; shown are the likeliest tokens." in shown.foot
    found = next_token_change(a, 6, a, 6, n=8, choice="change")
    token, chance = found.favourites[0]
    word = plain_label(token_text(token))
    assert f"Both expect ‘{word}’ most: {percent(chance)} in a, {percent(chance)} in b. " in shown.foot


def test_surprisals_are_drawn_and_told_and_what_is_left_out_is_said(pair: tuple[Trace, Trace]) -> None:
    a, b = pair
    shown = draw_surprisal(a, other=b, frame=FRAME)
    found = surprisal_change(a, b, align(a.token_ids, b.token_ids))
    np.testing.assert_array_equal(shown.figure.data[2].y, np.nan_to_num(found.differences))
    assert f"Mean over 5 aligned tokens: {np.nanmean(found.of_a[[1, 2, 3, 5, 6]]):.3g} bits in a" in shown.foot
    assert "Hollow points are of a token that b replaces by another." in shown.foot
    assert shown.foot.endswith("Left out, for want of a counterpart: 1 of a; those of a are marked ×.")
    turned = draw_surprisal(b, other=a, frame=FRAME)
    assert turned.foot.endswith("Left out, for want of a counterpart: 1 of b.")
    assert left_out(align(a.token_ids, a.token_ids)) == ""


def test_a_run_against_itself_differs_nowhere(pair: tuple[Trace, Trace]) -> None:
    assert "No aligned token differs." in draw_surprisal(pair[0], other=pair[0], frame=FRAME).foot
    alone = pair[0]
    assert (draw_surprisal(alone, other=alone, frame=FRAME).figure.data[2].y == 0).all()
