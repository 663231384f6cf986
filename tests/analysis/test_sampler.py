"""The sampler's steps: against a computation by hand over the whole vocabulary, and against a run's own draws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dashapp
from dashapp.analysis.sampler import SamplerSteps, number_drawn, sampler_rows, sampler_steps, steps_of
from dashapp.model.sampling import SamplingSettings

if TYPE_CHECKING:
    from dashapp.model.gpt2 import GPT2

D_VOCAB = 50_257

# Two float64 sums of up to 50,257 terms in different orders: measured differences are below 1e-13.
ATOL = 1e-11

SETTINGS = [
    SamplingSettings(temperature=0.8, top_p=0.95),
    SamplingSettings(temperature=2, top_p=0.99),
    SamplingSettings(temperature=2, top_k=40, top_p=0.99),
    SamplingSettings(temperature=0.5, top_k=5, top_p=0.5),
    SamplingSettings(temperature=1.5, top_k=100),
    SamplingSettings(temperature=1, top_k=1),
    SamplingSettings(temperature=0),
    SamplingSettings(temperature=0, top_k=40, top_p=0.5),
    SamplingSettings(),
]


def vocabulary_logits() -> np.ndarray:
    """float32 logits [d_vocab], normal, many of them equal after rounding to a quarter."""
    drawn = np.random.default_rng(5).standard_normal(D_VOCAB, dtype=np.float32)
    logits: np.ndarray = np.round(drawn * 12) / np.float32(4)
    return logits


@dataclass
class ByHand:
    """Probabilities by id after each step; what a step cuts is not in its dict."""

    order: list[int]
    probs: dict[int, float]
    tempered: dict[int, float]
    top_k: dict[int, float]
    top_p: dict[int, float]
    final: dict[int, float]


def by_hand(logits: np.ndarray, settings: SamplingSettings) -> ByHand:
    """Every step written out with Python's floats, sort and exact sum, over all tokens."""
    order = sorted(range(len(logits)), key=lambda token: (-float(logits[token]), token))
    probs = softmax({token: float(logits[token]) for token in order})
    if settings.temperature == 0:
        one = {order[0]: 1.0}
        return ByHand(order, probs, one, one, one, one)
    tempered = softmax({token: float(logits[token]) / settings.temperature for token in order})
    top_k = {token: tempered[token] for token in order[: settings.top_k or len(order)]}
    held, top_p, reached = math.fsum(top_k.values()), {}, 0.0
    for token, prob in top_k.items():
        top_p[token] = prob
        reached += prob
        if settings.top_p < 1 and reached >= settings.top_p * held:
            break
    kept = math.fsum(top_p.values())
    return ByHand(order, probs, tempered, top_k, top_p, {token: prob / kept for token, prob in top_p.items()})


def softmax(logits: dict[int, float]) -> dict[int, float]:
    largest = max(logits.values())
    weights = {token: math.exp(logit - largest) for token, logit in logits.items()}
    total = math.fsum(weights.values())
    return {token: weight / total for token, weight in weights.items()}


def assert_same(steps: SamplerSteps, expected: ByHand) -> None:
    assert steps.ids.tolist() == expected.order
    np.testing.assert_allclose(steps.probs, list(expected.probs.values()), rtol=0, atol=ATOL)
    np.testing.assert_allclose(
        steps.tempered, [expected.tempered.get(token, 0.0) for token in expected.order], rtol=0, atol=ATOL
    )
    assert (steps.n_top_k, steps.n_top_p) == (len(expected.top_k), len(expected.top_p))
    assert steps.ids[: steps.n_top_p].tolist() == list(expected.top_p)
    np.testing.assert_allclose(steps.final, list(expected.final.values()), rtol=0, atol=ATOL)


# Steps ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_every_step_is_that_of_a_brute_force_over_the_vocabulary(settings: SamplingSettings) -> None:
    logits = vocabulary_logits()
    assert_same(steps_of(logits, settings), by_hand(logits, settings))


def test_at_temperature_2_a_top_p_of_0_99_keeps_and_cuts_thousands() -> None:
    """Otherwise the test above would not see a top-p that is computed on some of the vocabulary."""
    steps = steps_of(vocabulary_logits(), SamplingSettings(temperature=2, top_p=0.99))
    assert 10_000 < steps.n_top_p < D_VOCAB - 2000


small_logits = st.lists(st.integers(-8, 8).map(lambda n: n / 4), min_size=1, max_size=30)  # many of them equal
# No share of up to 30 equals is a multiple of 1/1009, a prime: a share reached exactly may round to either side.
shares = st.integers(1, 1008).map(lambda n: n / 1009)


@given(small_logits, st.sampled_from([0, 0.5, 0.8, 1, 2]), st.integers(0, 33), shares | st.just(1.0))
def test_every_step_is_that_of_a_brute_force_whatever_is_equal(
    values: list[float], temperature: float, top_k: int, top_p: float
) -> None:
    logits = np.array(values, dtype=np.float32)
    settings = SamplingSettings(temperature=temperature, top_k=top_k, top_p=top_p)
    assert_same(steps_of(logits, settings), by_hand(logits, settings))


def test_temperature_0_takes_the_lowest_id_of_equals() -> None:
    steps = steps_of(np.array([1, 3, 3], dtype=np.float32), SamplingSettings(temperature=0))
    assert steps.ids.tolist() == [1, 2, 0]
    assert steps.tempered.tolist() == [1, 0, 0]
    assert [steps.fate(place) for place in range(3)] == ["kept", "temperature", "temperature"]


# Rows -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("came", [0, 20, 77, 40_000, None])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_rows_hold_the_whole_vocabulary_once(settings: SamplingSettings, came: int | None) -> None:
    logits = vocabulary_logits()
    order = np.lexsort((np.arange(D_VOCAB), -logits)).tolist()  # by logit, equals by id
    rows = sampler_rows(steps_of(logits, settings, followed=None if came is None else order[came]), n_first=12)
    assert sum(row.n for row in rows) == D_VOCAB
    assert len(rows) <= 12 + 1 + 3
    for column in ("prob", "tempered", "final"):
        assert math.fsum(getattr(row, column) for row in rows) == pytest.approx(1, abs=ATOL)
    assert [row.place for row in rows if row.came] == ([] if came is None else [came])
    assert [row.token for row in rows if row.token is not None][:12] == order[:12]
    fates = [row.fate for row in rows]
    assert sorted(set(fates), key=fates.index) == [fate for i, fate in enumerate(fates) if fates[i - 1 : i] != [fate]]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_rows_of_several_hold_what_the_others_of_their_fate_hold(settings: SamplingSettings) -> None:
    logits = vocabulary_logits()
    expected = by_hand(logits, settings)
    came = expected.order[30]
    fates: dict[str, set[int]] = {
        "kept": set(expected.top_p),
        "top-p": set(expected.top_k) - set(expected.top_p),
        "top-k": set(expected.tempered) - set(expected.top_k),
        "temperature": set(expected.order) - set(expected.tempered),
    }
    several = [row for row in sampler_rows(steps_of(logits, settings, followed=came), n_first=12) if row.token is None]
    found: dict[str, tuple[float, ...]] = {row.fate: (row.n, row.prob, row.tempered, row.final) for row in several}
    alone = {*expected.order[:12], came}
    for fate, tokens in fates.items():
        others = tokens - alone
        sums = [
            math.fsum(step.get(token, 0.0) for token in others)
            for step in (expected.probs, expected.tempered, expected.final)
        ]
        assert found.get(fate, (0, 0, 0, 0)) == pytest.approx((len(others), *sums), abs=ATOL)


def test_a_row_of_one_tells_its_logit_and_its_place() -> None:
    logits = np.array([1, 4, 2], dtype=np.float32)
    rows = sampler_rows(steps_of(logits, SamplingSettings(top_k=2), followed=0), n_first=1)
    assert [(row.token, row.place, row.logit, row.fate) for row in rows if row.came or row.place == 0] == [
        (1, 0, 4, "kept"),
        (0, 2, 1, "top-k"),
    ]
    assert [(row.n, row.place) for row in rows if row.token is None] == [(1, 1)]


def test_the_random_number_of_a_run_lies_where_its_token_is_drawn(text_model: GPT2) -> None:
    """The steps are those of the run: its own random numbers fall on the tokens that it drew."""
    settings = {"max_new_tokens": 9, "temperature": 0.8, "top_p": 0.95, "seed": 3}
    run = dashapp.generate(text_model, "A cat", cache=False, **settings)  # type: ignore[arg-type]
    trace = dashapp.trace(text_model, run.token_ids, cache=False)
    assert len(run.steps) == 9
    for i, step in enumerate(run.steps):
        steps = sampler_steps(trace, run.n_prompt + i - 1, run.settings)
        (row,) = [row for row in sampler_rows(steps, n_first=1) if row.came]
        assert row.token == step.token
        assert row.interval is not None
        low, high = row.interval
        assert low <= step.u < high


def test_nothing_came_after_the_last_token(text_model: GPT2) -> None:
    trace = dashapp.trace(text_model, "A cat", cache=False)
    assert sampler_steps(trace, trace.n_tokens - 1, SamplingSettings()).came is None
    steps = sampler_steps(trace, 0, SamplingSettings())
    assert steps.came is not None
    assert steps.ids[steps.came] == trace.token_ids[1]


def test_the_numbers_of_a_run_follow_from_its_seed(text_model: GPT2) -> None:
    run = dashapp.generate(text_model, "The cat", max_new_tokens=8, seed=2**40 + 3, cache=False)
    assert [number_drawn(run.settings.seed, n) for n in range(len(run.steps))] == [step.u for step in run.steps]


@pytest.mark.parametrize("settings", [each for each in SETTINGS if each.temperature])
@pytest.mark.parametrize("u", [0.0, 0.31, 0.999999])
def test_a_number_falls_on_the_token_in_whose_stretch_it_is(settings: SamplingSettings, u: float) -> None:
    logits = vocabulary_logits()
    steps = steps_of(logits, settings, u=u)
    reached = np.cumsum(list(by_hand(logits, settings).final.values()))
    assert steps.hit == int(np.argmax(reached > u))
    (row,) = [row for row in sampler_rows(steps, n_first=3) if row.hit]
    assert row.place == steps.hit
    assert row.interval is not None
    low, high = row.interval
    assert low <= u < high
