from __future__ import annotations

import hashlib
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashapp.model.sampling import SamplingSettings
from dashapp.traces.keys import is_key, run_key, trace_key

IDS = [50256, 464, 3797]
SETTINGS = SamplingSettings(max_new_tokens=20, temperature=0.8, top_k=40, top_p=0.95, seed=0)

token_ids = st.lists(st.integers(0, 50_256), max_size=8)
texts = st.text(max_size=8)
wholes = st.integers(0, 99)
sampling = st.builds(
    SamplingSettings,
    max_new_tokens=wholes,
    temperature=st.floats(0, 9),
    top_k=wholes,
    top_p=st.floats(0.125, 1),
    seed=wholes,
    stop_at_end=st.booleans(),
)


def key_of_trace(ids: list[int], fingerprint: str, dtype: str, trace_format: int) -> str:
    return trace_key(ids, fingerprint=fingerprint, dtype=dtype, trace_format=trace_format)


def key_of_run(ids: list[int], fingerprint: str, dtype: str, settings: SamplingSettings, run_format: int) -> str:
    return run_key(ids, fingerprint=fingerprint, dtype=dtype, settings=settings, run_format=run_format)


@given(*[st.tuples(token_ids, texts, texts, wholes)] * 2)
def test_traces_share_a_key_exactly_when_all_that_determines_them_is_equal(
    one: tuple[list[int], str, str, int], other: tuple[list[int], str, str, int]
) -> None:
    assert (key_of_trace(*one) == key_of_trace(*other)) == (one == other)
    for changed in range(4):  # one part from the other trace, the rest kept
        mixed = (*one[:changed], other[changed], *one[changed + 1 :])
        assert (key_of_trace(*one) == key_of_trace(*mixed)) == (one == mixed)  # type: ignore[arg-type]


@given(*[st.tuples(token_ids, texts, texts, sampling, wholes)] * 2)
def test_runs_share_a_key_exactly_when_all_that_determines_them_is_equal(
    one: tuple[list[int], str, str, SamplingSettings, int], other: tuple[list[int], str, str, SamplingSettings, int]
) -> None:
    assert (key_of_run(*one) == key_of_run(*other)) == (one == other)
    for changed in range(5):
        mixed = (*one[:changed], other[changed], *one[changed + 1 :])
        assert (key_of_run(*one) == key_of_run(*mixed)) == (one == mixed)  # type: ignore[arg-type]


def test_every_sampling_setting_changes_the_key() -> None:
    changed = [
        replace(SETTINGS, max_new_tokens=21),
        replace(SETTINGS, temperature=0.81),
        replace(SETTINGS, top_k=41),
        replace(SETTINGS, top_p=0.96),
        replace(SETTINGS, seed=1),
        replace(SETTINGS, stop_at_end=False),
    ]
    assert len(changed) == len(fields(SamplingSettings))
    assert len({key_of_run(IDS, "f", "float32", settings, 1) for settings in [SETTINGS, *changed]}) == 7


def test_a_trace_and_a_run_of_the_same_tokens_have_different_keys() -> None:
    assert key_of_trace(IDS, "f", "float32", 1) != key_of_run(IDS, "f", "float32", SETTINGS, 1)


@pytest.mark.parametrize(
    "form", [tuple, np.array, lambda ids: np.array(ids, dtype=np.int32), lambda ids: np.array(ids * 2)[:3]]
)
def test_the_form_in_which_the_tokens_come_does_not_matter(form: type) -> None:
    assert trace_key(form(IDS), fingerprint="f", dtype="float32", trace_format=1) == key_of_trace(
        IDS, "f", "float32", 1
    )


@pytest.mark.parametrize(("one", "same"), [(1, 1.0), (0.8, 0.80), (0, -0.0), (0.0, -0.0)])
def test_one_temperature_written_in_two_ways_is_one_key(one: float, same: float) -> None:
    keys = {key_of_run(IDS, "f", "float32", replace(SETTINGS, temperature=t), 1) for t in (one, same)}
    assert len(keys) == 1


def test_a_key_is_64_lowercase_hexadecimal_digits_and_nothing_else() -> None:
    key = key_of_trace(IDS, "f", "float32", 1)
    assert is_key(key)
    assert is_key(hashlib.sha256(b"anything").hexdigest())
    for other in (
        "",
        key[:-1],
        f"{key}0",
        f"{key}\n",
        key.upper().replace("0", "A"),
        " " + key[1:],
        "٣" * 64,
        "../" + key[3:],
    ):
        assert not is_key(other), other
