from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dashapp.model.config import GPT2Config
from dashapp.traces.names import TENSORS, axis_sizes, n_checks, n_slices, tensor_shapes, trace_bytes
from tests.doubles import TINY
from tests.store.made import file_bytes, made_trace


def test_every_axis_has_a_size_and_every_tensor_a_sentence() -> None:
    sizes = axis_sizes(TINY, 7)
    assert {axis for row in TENSORS.values() for axis in row.axes} == sizes.keys()
    for name, row in TENSORS.items():
        assert row.meaning.endswith("."), name


def test_shapes_are_those_of_the_table_for_the_tiny_model() -> None:
    shapes = tensor_shapes(TINY, 7)  # written out: 3 layers, 2 heads, d_head 5, d_model 10, d_mlp 11, 17 tokens
    assert shapes["q"] == shapes["k"] == shapes["v"] == (3, 2, 7, 5)
    assert shapes["resid"] == (7, 7, 10)
    assert shapes["ln_scale"] == (7, 7)
    assert shapes["mlp_pre"] == (3, 7, 11)
    assert shapes["top_ids"] == shapes["top_logprobs"] == (7, 17)
    assert shapes["attn_entropy"] == (3, 2, 7)
    assert shapes["thumbnails"] == (3, 2, 64, 64)


def test_nothing_that_is_stored_is_quadratic_in_the_prompt() -> None:
    for name, row in TENSORS.items():
        assert row.axes.count("pos") <= 1, name
        assert not {"query", "key"} & set(row.axes), name


def test_layers_come_first_so_that_one_can_be_checked_alone() -> None:
    for name, row in TENSORS.items():
        assert "layer" not in row.axes[1:], name
        expected = {"layer": 3, "point": 7, "norm": 7}.get(row.axes[0], 1)
        assert n_slices(name, tensor_shapes(TINY, 5)[name]) == expected, name


@pytest.mark.parametrize("n_tokens", range(1, TINY.n_ctx + 1))
def test_a_file_is_as_large_as_foretold_and_one_header(n_tokens: int) -> None:
    """8 bytes of length and one page of header, whatever the prompt."""
    assert len(file_bytes(made_trace(n_tokens=n_tokens))) == trace_bytes(TINY, n_tokens)
    assert made_trace(n_tokens=n_tokens).size_bytes == trace_bytes(TINY, n_tokens)


@pytest.mark.parametrize("config", [TINY, GPT2Config()], ids=["tiny", "124M"])
def test_bytes_are_a_constant_and_a_fixed_number_per_token(config: GPT2Config) -> None:
    steps = np.diff([trace_bytes(config, n_tokens) for n_tokens in range(1, 50)])
    assert len(set(steps.tolist())) == 1
    assert trace_bytes(config, 1024) == trace_bytes(config, 1) + 1023 * steps[0]


def test_a_trace_of_1024_tokens_of_the_124m_shape_takes_about_what_was_reckoned() -> None:
    """architecture.md: 343 MB for q, k, v, the residual stream, MLP pre-activations and the rest."""
    assert 330e6 < trace_bytes(GPT2Config(), 1024) < 350e6


def test_another_layer_adds_its_own_checksums() -> None:
    deeper = dataclasses.replace(TINY, n_layer=4)
    per_layer = sum({"layer": 1, "point": 2, "norm": 2}.get(row.axes[0], 0) for row in TENSORS.values())
    assert n_checks(tensor_shapes(deeper, 5)) - n_checks(tensor_shapes(TINY, 5)) == per_layer
