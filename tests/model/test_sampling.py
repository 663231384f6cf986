from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashapp.errors import BadSampling
from dashapp.model.sampling import (
    FIRST_LOOK,
    Candidates,
    SamplingSettings,
    candidates,
    draw,
    largest,
    random_numbers,
    sample,
)

D_VOCAB = 50_257
LAST_U = 1 - 2**-53  # the largest number that a generator's random() gives

# Two float64 sums of up to 50,257 terms in different orders: measured differences are below 1e-13.
ATOL = 1e-11


def vocabulary_logits(seed: int, *, spread: float = 3.0) -> np.ndarray:
    """float32 logits [d_vocab], normal."""
    return np.random.default_rng(seed).standard_normal(D_VOCAB, dtype=np.float32) * np.float32(spread)


def by_brute_force(logits: np.ndarray, settings: SamplingSettings) -> dict[int, float]:
    """The sampler written out over the whole vocabulary with Python's sort: id → probability, most likely first."""
    order = sorted(range(len(logits)), key=lambda token: (-float(logits[token]), token))
    if settings.temperature == 0:
        return {order[0]: 1.0}
    top = float(logits[order[0]])
    weights = {token: math.exp((float(logits[token]) - top) / settings.temperature) for token in order}
    if settings.top_k:
        weights = {token: weights[token] for token in order[: settings.top_k]}
    total = math.fsum(weights.values())
    kept: dict[int, float] = {}
    reached = 0.0
    for token, weight in weights.items():
        kept[token] = weight
        reached += weight / total
        if reached >= settings.top_p and settings.top_p < 1:
            break
    kept_total = math.fsum(kept.values())
    return {token: weight / kept_total for token, weight in kept.items()}


def assert_same(found: Candidates, expected: dict[int, float]) -> None:
    assert found.ids.tolist() == list(expected)
    np.testing.assert_allclose(found.probs, list(expected.values()), rtol=0, atol=ATOL)
    assert abs(found.probs.sum() - 1) < ATOL


SETTINGS = [
    SamplingSettings(),
    SamplingSettings(temperature=0),
    SamplingSettings(temperature=0.8, top_k=40, top_p=0.95),
    SamplingSettings(temperature=2, top_p=0.99),  # thousands of tokens: more than the first look
    SamplingSettings(temperature=1.5, top_p=0.9),  # the first look holds most of it, and not enough
    SamplingSettings(temperature=0.7, top_p=0.9),
    SamplingSettings(top_k=D_VOCAB + 1),
    SamplingSettings(top_k=D_VOCAB + 1, top_p=0.5),
    SamplingSettings(top_k=1),
    SamplingSettings(top_p=1e-9),
    SamplingSettings(temperature=1e-6),
    SamplingSettings(temperature=1e6, top_p=0.3),
]


# Candidates ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_candidates_are_those_of_a_brute_force_over_the_vocabulary(settings: SamplingSettings) -> None:
    logits = vocabulary_logits(0)
    assert_same(candidates(logits, settings), by_brute_force(logits, settings))


def test_a_flat_distribution_at_temperature_2_keeps_more_than_the_first_look() -> None:
    """Otherwise the test above would not see the case where the first look does not suffice."""
    assert len(candidates(vocabulary_logits(0), SamplingSettings(temperature=2, top_p=0.99)).ids) > 2 * FIRST_LOOK


small_logits = st.lists(st.integers(-8, 8).map(lambda n: n / 4), min_size=1, max_size=30)  # many of them equal
# The two ways may round to either side of a share that is reached exactly, such as 0.7 by 7 of 10 equals. No share of
# up to 30 equals is a multiple of 1/1009, a prime.
shares = st.integers(1, 1008).map(lambda n: n / 1009)


@given(small_logits, st.floats(0.1, 10), st.integers(0, 33), shares | st.just(1.0))
def test_candidates_are_those_of_a_brute_force_whatever_is_equal(
    values: list[float], temperature: float, top_k: int, top_p: float
) -> None:
    logits = np.array(values, dtype=np.float32)
    settings = SamplingSettings(temperature=temperature, top_k=top_k, top_p=top_p)
    assert_same(candidates(logits, settings), by_brute_force(logits, settings))


def test_of_equals_at_the_cut_the_lowest_ids_are_kept() -> None:
    logits = np.array([1, 2, 2, 3, 2], dtype=np.float32)
    assert candidates(logits, SamplingSettings(top_k=3)).ids.tolist() == [3, 1, 2]
    assert largest(logits, 2).tolist() == [3, 1]
    assert largest(np.zeros(D_VOCAB, np.float32), 3).tolist() == [0, 1, 2]


def test_top_p_keeps_the_smallest_set_with_that_much() -> None:
    logits = np.log(np.array([0.125, 0.5, 0.25, 0.125]))  # exact powers of 2, so that 0.75 is reached by two
    assert candidates(logits, SamplingSettings(top_p=0.5)).ids.tolist() == [1]
    assert candidates(logits, SamplingSettings(top_p=0.51)).ids.tolist() == [1, 2]
    cut = candidates(logits, SamplingSettings(top_p=0.7))
    np.testing.assert_allclose(cut.probs, [2 / 3, 1 / 3], rtol=0, atol=ATOL)
    assert math.isclose(cut.kept_mass, 0.75, abs_tol=ATOL)


def test_top_p_acts_on_what_top_k_left() -> None:
    logits = np.log(np.array([0.4, 0.3, 0.2, 0.1]))
    cut = candidates(logits, SamplingSettings(top_k=2, top_p=0.55))  # 4/7 of what is left is enough
    assert cut.ids.tolist() == [0]
    assert math.isclose(cut.kept_mass, 4 / 7, abs_tol=ATOL)


def test_a_tiny_top_p_keeps_one_token() -> None:
    assert len(candidates(np.zeros(7, np.float32), SamplingSettings(top_p=5e-324)).ids) == 1


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-6])
def test_next_to_no_temperature_is_the_most_likely_token(temperature: float) -> None:
    found = candidates(vocabulary_logits(3), SamplingSettings(temperature=temperature))
    assert found.probs[0] == 1
    assert found.ids[0] == vocabulary_logits(3).argmax()


def test_a_very_high_temperature_makes_all_alike() -> None:
    found = candidates(vocabulary_logits(3), SamplingSettings(temperature=1e308))
    np.testing.assert_allclose(found.probs, 1 / D_VOCAB, rtol=1e-9)


def test_one_token_may_have_all_the_mass() -> None:
    logits = np.full(9, -1e4, dtype=np.float32)
    logits[4] = 0
    for settings in (SamplingSettings(), SamplingSettings(top_p=0.9), SamplingSettings(top_k=3, top_p=0.9)):
        assert draw(candidates(logits, settings), LAST_U) == 4


def test_temperature_0_takes_the_lowest_id_of_equals() -> None:
    assert candidates(np.array([0.0, 7.0, 7.0]), SamplingSettings(temperature=0)).ids.tolist() == [1]


def test_logits_are_left_as_they_were() -> None:
    logits = vocabulary_logits(1)
    before = logits.copy()
    sample(logits, SamplingSettings(temperature=0.5, top_k=9, top_p=0.9), 0.3)
    np.testing.assert_array_equal(logits, before)


# Drawing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        SamplingSettings(),
        SamplingSettings(temperature=3),
        SamplingSettings(temperature=0.01),
        SamplingSettings(temperature=0),
        SamplingSettings(top_k=5),
        SamplingSettings(top_p=0.9),
    ],
    ids=str,
)
def test_sampling_is_drawing_among_the_candidates(settings: SamplingSettings) -> None:
    logits = vocabulary_logits(2)
    among = candidates(logits, settings)
    numbers = [0.0, LAST_U, 0.5, *np.cumsum(among.probs)[:3], *random_numbers(7).random(40)]
    for u in (min(float(u), LAST_U) for u in numbers):
        assert sample(logits, settings, u) == draw(among, u)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("n_known", [1, 20, FIRST_LOOK, 5_000])
def test_what_somebody_has_found_already_changes_nothing(settings: SamplingSettings, n_known: int) -> None:
    logits = np.round(vocabulary_logits(3), 2)  # with equals
    known = largest(logits, n_known)
    plain, given = candidates(logits, settings), candidates(logits, settings, leading=known)
    np.testing.assert_array_equal(given.ids, plain.ids)
    np.testing.assert_array_equal(given.probs, plain.probs)
    for u in np.linspace(0, 0.999, 7):
        assert sample(logits, settings, u, leading=known) == sample(logits, settings, u)


def test_candidates_divide_the_unit_interval_in_order() -> None:
    among = Candidates(np.array([7, 3, 5]), np.array([0.5, 0.25, 0.25]), 1.0)
    assert [draw(among, u) for u in (0.0, 0.49, 0.5, 0.74, 0.75, LAST_U)] == [7, 7, 3, 3, 5, 5]


@given(st.integers(0, 10_000))
def test_a_token_without_probability_is_never_drawn(seed: int) -> None:
    """The sum of the probabilities may round to less than the largest u; the last candidate has none here."""
    logits = np.random.default_rng(seed).standard_normal(50)
    logits[-5:] = -1e5  # exp underflows to 0
    among = candidates(logits, SamplingSettings())
    for u in (0.0, LAST_U, 1.0):
        assert among.probs[list(among.ids).index(draw(among, u))] > 0


def test_tokens_come_up_as_often_as_their_probabilities_say() -> None:
    logits = np.array([1.0, 0.0, 2.0, -1.0, 0.5, 2.0])
    settings = SamplingSettings(temperature=1.3)
    expected = by_brute_force(logits, settings)
    n_draws = 20_000
    drawn = [sample(logits, settings, u) for u in random_numbers(0).random(n_draws)]
    chi_square = sum((drawn.count(token) - n_draws * p) ** 2 / (n_draws * p) for token, p in expected.items())
    # Five degrees of freedom: a right sampler exceeds 20.5 once in a thousand seeds, and this seed is fixed.
    assert chi_square < 20.5
    swapped = dict(zip(expected, [*list(expected.values())[1:], expected[next(iter(expected))]], strict=True))
    assert sum((drawn.count(token) - n_draws * p) ** 2 / (n_draws * p) for token, p in swapped.items()) > 1000


def test_random_numbers_depend_on_the_seed_alone() -> None:
    # NumPy's documented stream for PCG64(0), which Generator keeps across versions for `random`.
    assert random_numbers(0).random() == pytest.approx(0.6369616873214543, abs=0)
    assert random_numbers(1).random() != random_numbers(0).random()
    assert 0 <= random_numbers(2**200).random() < 1


# Settings ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("temperature", 10**400),
        ("temperature", "1"),
        ("temperature", True),
        ("temperature", None),
        ("top_p", 0),
        ("top_p", 1.0001),
        ("top_p", math.nan),
        ("top_p", True),
        ("top_k", -1),
        ("top_k", 4.0),
        ("top_k", True),
        ("max_new_tokens", -1),
        ("max_new_tokens", None),
        ("seed", -1),
        ("seed", 0.5),
    ],
)
def test_a_bad_setting_is_refused_by_its_name_and_value(name: str, value: object) -> None:
    with pytest.raises(BadSampling) as refused:
        replace(SamplingSettings(), **{name: value})  # type: ignore[arg-type]
    assert refused.value.name == name
    said = name.capitalize().replace("_", "-").replace("Max-new-tokens", "New tokens")
    assert str(refused.value).startswith(f"{said} must be ")
    assert f"Here it is {value!r}.".replace("-", "−") in str(refused.value)


def test_whole_numbers_and_fractions_of_one_value_are_one_setting() -> None:
    ones = [SamplingSettings(temperature=1, top_p=1), SamplingSettings(temperature=1.0, top_p=1.0)]
    zeros = [SamplingSettings(temperature=0), SamplingSettings(temperature=-0.0)]
    for pair in (ones, zeros):
        assert len({json.dumps(settings.as_dict()) for settings in pair}) == 1


def test_settings_survive_json() -> None:
    settings = SamplingSettings(max_new_tokens=3, temperature=0.1, top_k=5, top_p=0.3, seed=2**70, stop_at_end=False)
    assert SamplingSettings(**json.loads(json.dumps(settings.as_dict()))) == settings
