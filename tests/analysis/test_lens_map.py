"""The lens of a whole text: against the lens at one token, a float64 pass, and what the model stored as it ran."""

from __future__ import annotations

import math

import numpy as np
import pytest

import dashapp
from dashapp.analysis import lens_map as module
from dashapp.analysis.lens_map import LensMap, lens_map, logprobs_of
from dashapp.analysis.logit_lens import Scale, lens_at, lens_logits
from dashapp.model.tap import Tap
from tests.analysis.test_logit_lens import SCALES, TEXT, exact_lens, trace_of
from tests.doubles import TINY_TEXT, tiny_model

# Logits of a float32 pass: docs/numerics.md. Sums over the vocabulary are float32 and pairwise: 16 halvings of numbers
# that are at most 30 in all, each rounded by 6e-8.
FLOAT32_ATOL = 1e-4
SEEDS = [-1, 0, 2]  # −1: the demo


def close(found: np.ndarray, expected: object) -> None:
    np.testing.assert_allclose(found, expected, atol=FLOAT32_ATOL)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scale", SCALES)
def test_each_column_is_the_lens_at_its_token(seed: int, scale: Scale, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS", 3)  # so that the text takes more than one block, and the last is not full
    trace = trace_of(seed)
    found = lens_map(trace, scale=scale, target=262)
    assert found.top_ids.shape == (2 * trace.config.n_layer + 1, trace.n_tokens)
    for pos in range(trace.n_tokens):
        lens = lens_at(trace, pos, scale=scale, follow=[262], n_top=1)
        np.testing.assert_array_equal(found.top_ids[:, pos], lens.top_ids[:, 0])
        close(np.exp(found.top_logprobs[:, pos]), lens.top_probs[:, 0])
        close(found.entropy_bits[:, pos], lens.entropy_bits)
        close(found.kl_bits[:, pos], lens.kl_bits)
        assert found.settles_at[pos] == lens.settles_at


@pytest.mark.parametrize("scale", SCALES)
def test_a_column_is_that_of_a_float64_pass(scale: Scale) -> None:
    found = lens_map(trace_of(0), scale=scale, target=17)
    for pos in (0, 5):
        logits = exact_lens(0, pos, scale)
        logprobs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))  # logits up to 15: nothing overflows
        probs = np.exp(logprobs)
        close(found.top_logprobs[:, pos], logprobs.max(axis=1))
        close(found.logsumexp[:, pos], np.log(np.exp(logits).sum(axis=1)))
        close(found.entropy_bits[:, pos], -(probs * logprobs).sum(axis=1) / math.log(2))
        close(found.kl_bits[:, pos], (probs[-1] * (logprobs[-1] - logprobs)).sum(axis=1) / math.log(2))
        close(logprobs_of(trace_of(0), found, np.full(trace_of(0).n_tokens, 17), scale=scale)[:, pos], logprobs[:, 17])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scale", SCALES)
def test_the_last_row_is_the_model_s_output(seed: int, scale: Scale) -> None:
    trace = trace_of(seed)
    found = lens_map(trace, scale=scale, target=None)
    np.testing.assert_array_equal(found.top_ids[-1], trace.read("top_ids")[:, 0])
    close(found.top_logprobs[-1], trace.read("top_logprobs")[:, 0])
    close(found.logsumexp[-1], trace.read("logsumexp"))
    close(found.entropy_bits[-1] * math.log(2), trace.read("entropy"))
    assert not found.kl_bits[-1].any()
    assert not found.ranks[-1].any()  # followed is each token's own likeliest
    close(logprobs_of(trace, found, found.followed, scale=scale)[-1], trace.read("top_logprobs")[:, 0])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scale", SCALES)
def test_nothing_is_out_of_its_bounds(seed: int, scale: Scale) -> None:
    found = lens_map(trace_of(seed), scale=scale, target=None)
    assert (found.kl_bits >= 0).all()
    assert ((found.entropy_bits >= 0) & (found.entropy_bits <= math.log2(50_257) + FLOAT32_ATOL)).all()
    assert (found.top_logprobs <= 0).all()
    assert ((found.ranks >= 0) & (found.ranks < 50_257)).all()
    followed = logprobs_of(trace_of(seed), found, found.followed, scale=scale)
    assert (followed <= found.top_logprobs + FLOAT32_ATOL).all()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scale", SCALES)
def test_a_rank_is_the_number_of_likelier_tokens(seed: int, scale: Scale) -> None:
    """Up to tokens whose logits lie as near as a product over other rows rounds."""
    trace = trace_of(seed)
    found = lens_map(trace, scale=scale, target=50_256)
    for pos in (0, 4):
        above = lens_logits(trace, pos, scale=scale).astype(np.float64)
        above -= above[:, [50_256]].copy()
        assert (found.ranks[:, pos] >= (above > FLOAT32_ATOL).sum(axis=1)).all()
        assert (found.ranks[:, pos] <= (above > -FLOAT32_ATOL).sum(axis=1) - 1).all()  # itself is no likelier one


def test_it_settles_where_the_likeliest_token_changes_last() -> None:
    ids = np.array([[1, 3, 2], [2, 3, 2], [2, 3, 1], [2, 3, 2]])
    nothing = np.zeros((4, 3))
    found = LensMap(
        top_ids=ids,
        top_logprobs=nothing,
        entropy_bits=nothing,
        kl_bits=nothing,
        logsumexp=nothing,
        ranks=nothing,
        followed=ids[-1],
    )
    assert found.settles_at.tolist() == [1, 0, 3]


def test_the_map_survives_as_arrays_and_tells_its_progress() -> None:
    shares: list[float] = []
    found = lens_map(trace_of(0), scale="frozen", target=None, progress=shares.append)
    again = LensMap.from_arrays(found.arrays())
    for name, array in found.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)
    assert shares == sorted(shares)
    assert len(shares) == 7
    assert shares[-1] == 1


def test_who_is_told_the_progress_may_end_it() -> None:
    def stop(share: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        lens_map(trace_of(0), scale="frozen", target=None, progress=stop)


def test_logits_far_from_zero_keep_their_digits() -> None:
    """Those of published models lie around −100: an offset common to all tokens changes no distribution."""
    import torch

    models = []
    for dtype in (torch.float32, torch.float64):
        model = tiny_model(TINY_TEXT, seed=3, dtype=dtype)
        with torch.no_grad():
            model.wte.weight[:, 0] = 0.5
            model.ln_f.bias[0] = -200.0
        models.append(model)
    trace = dashapp.trace(models[0], TEXT, cache=False)
    found = lens_map(trace, scale="recomputed", target=None)
    assert (found.logsumexp < -80).all()
    seen = Tap.reading("resid_pre", "resid_mid", "resid_post")
    with torch.no_grad():
        models[1](torch.tensor(trace.token_ids.tolist())[None], tap=seen)
        states = [seen.activations["resid_pre", 0]]
        for layer in range(trace.config.n_layer):
            states += [seen.activations["resid_mid", layer], seen.activations["resid_post", layer]]
        logprobs = torch.log_softmax(models[1].ln_f(torch.cat(states)) @ models[1].wte.weight.T, dim=-1)
        kl = (logprobs[-1].exp() * (logprobs[-1] - logprobs)).sum(dim=-1)  # [point pos]
    close(found.kl_bits, kl.numpy() / math.log(2))
    assert (found.kl_bits[:-1] > 100 * FLOAT32_ATOL).any()


def test_rows_come_from_the_output_down() -> None:
    seen: list[LensMap] = []
    found = lens_map(trace_of(0), scale="recomputed", target=None, so_far=seen.append)
    assert len(seen) == len(found.top_ids)
    for n_known, part in enumerate(seen, 1):
        assert (part.top_ids[:-n_known] == -1).all()
        assert np.isnan(part.kl_bits[:-n_known]).all()
        for name, array in part.arrays().items():
            known = array if name == "followed" else array[-n_known:]
            np.testing.assert_array_equal(known, found.arrays()[name][-len(known) :])
