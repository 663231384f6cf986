"""What the Activations page shows, against hooks in Hugging Face's model on the same random weights.

A hook sees what goes into and comes out of a module. Every number here is told from that alone, in float64.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

import dashapp
from dashapp.analysis.activations import pre_activations, residual_norms
from dashapp.analysis.layer_norm import norm_statistics, normed_vector
from dashapp.analysis.writes import largest_dimensions, writes
from dashapp.model.config import GPT2Config
from dashapp.model.tap import Tap
from dashapp.traces.record import Trace
from tests.doubles import TINY_TEXT, model_of, random_weights
from tests.reference.test_gpt2_parity import ATOL, reference_of

pytestmark = pytest.mark.reference

SHAPES = {
    "tiny": TINY_TEXT,
    "coarse norm": dataclasses.replace(TINY_TEXT, n_layer=2, d_mlp=23, layer_norm_epsilon=0.1),
}
PROMPT = "The cat sat on a mat and"

# A float32 pass and a float64 one: what `test_gpt2_parity` allows logits, as a share of what is compared.
RTOL = ATOL[torch.float32]


@dataclass
class Seen:
    """What went into modules and came out of them, by name without "transformer.": float64 [pos …]."""

    into: dict[str, np.ndarray] = field(default_factory=dict)
    out: dict[str, np.ndarray] = field(default_factory=dict)

    def stream(self, n_layer: int) -> np.ndarray:
        """The residual stream as LayerNorms were given it: [point pos d_model]."""
        return np.stack([self.into[name] for name in norm_names(n_layer)])


def norm_names(n_layer: int) -> list[str]:
    return [f"h.{layer}.ln_{which}" for layer in range(n_layer) for which in (1, 2)] + ["ln_f"]


def look_into(config: GPT2Config, weights: dict[str, np.ndarray], token_ids: np.ndarray) -> Seen:
    """One pass of Hugging Face's model in float64, with a hook on every module."""
    reference, seen = reference_of(config, weights).double(), Seen()

    def watch(name: str) -> None:
        def hook(_module: torch.nn.Module, given: tuple[torch.Tensor, ...], out: object) -> None:
            first = out[0] if isinstance(out, tuple) else out
            if given and isinstance(first, torch.Tensor):
                seen.into[name], seen.out[name] = given[0][0].numpy(), first[0].numpy()

        reference.get_submodule(f"transformer.{name}").register_forward_hook(hook)

    parts = ("attn", "mlp", "mlp.c_fc", "mlp.act")
    for name in [*norm_names(config.n_layer), *(f"h.{i}.{part}" for i in range(config.n_layer) for part in parts)]:
        watch(name)
    reference(torch.from_numpy(token_ids.astype(np.int64))[None])
    return seen


@dataclass(frozen=True)
class Case:
    config: GPT2Config
    weights: dict[str, np.ndarray]
    trace: Trace
    seen: Seen


@pytest.fixture(scope="module", params=SHAPES)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    config = SHAPES[request.param]
    weights = random_weights(config)
    trace = dashapp.trace(model_of(config, weights), PROMPT, cache=False)
    with torch.no_grad():
        yield Case(config, weights, trace, look_into(config, weights, np.array(trace.token_ids)))


def test_every_activation_of_a_layer_is_hugging_faces_in_float64(case: Case) -> None:
    seen, n_layer = case.seen, case.config.n_layer
    sites = ("resid_pre", "attn_out", "resid_mid", "mlp_pre", "mlp_post", "mlp_out", "resid_post", "ln1", "ln2")
    tap = Tap.reading(*sites)
    with torch.no_grad():
        ids = torch.from_numpy(np.array(case.trace.token_ids, dtype=np.int64))[None]
        model_of(case.config, case.weights, torch.float64)(ids, tap=tap)
    stream = seen.stream(n_layer)
    for layer in range(n_layer):
        block = f"h.{layer}"
        theirs = {
            "resid_pre": stream[2 * layer],
            "attn_out": seen.out[f"{block}.attn"],
            "resid_mid": stream[2 * layer + 1],
            "mlp_pre": seen.out[f"{block}.mlp.c_fc"],
            "mlp_post": seen.out[f"{block}.mlp.act"],
            "mlp_out": seen.out[f"{block}.mlp"],
            "resid_post": stream[2 * layer + 2],
            "ln1": seen.out[f"{block}.ln_1"],
            "ln2": seen.out[f"{block}.ln_2"],
        }
        for site in sites:
            ours = tap.activations[site, layer][0].numpy()
            np.testing.assert_allclose(ours, theirs[site], rtol=0, atol=ATOL[torch.float64], err_msg=f"{site} {layer}")


def test_what_a_trace_holds_is_what_went_through_hugging_faces_modules(case: Case) -> None:
    stream = case.seen.stream(case.config.n_layer)
    close(case.trace.read("resid"), stream)
    close(residual_norms(case.trace).norms, np.sqrt((stream**2).sum(axis=-1)))
    for layer in range(case.config.n_layer):
        close(case.trace.mlp_pre[layer], case.seen.out[f"h.{layer}.mlp.c_fc"])
        for pos in range(case.trace.n_tokens):
            close(pre_activations(case.trace, layer=layer, pos=pos).post, case.seen.out[f"h.{layer}.mlp.act"][pos])


def test_what_attention_and_mlp_wrote_is_what_came_out_of_them(case: Case) -> None:
    found, stream = writes(case.trace), case.seen.stream(case.config.n_layer)
    out = [case.seen.out[f"h.{layer}.{part}"] for layer in range(case.config.n_layer) for part in ("attn", "mlp")]
    wrote = np.stack([stream[0], *out])  # [part pos d_model]
    final = wrote.sum(axis=0)
    close(final, stream[-1])
    close(found.lengths, np.sqrt((wrote**2).sum(axis=-1)))
    close(found.shares, np.einsum("cpd,pd->cp", wrote, final) / np.einsum("pd,pd->p", final, final))
    before = np.cumsum(wrote, axis=0)[:-1]
    close(found.along[1:], (wrote[1:] * before).sum(axis=-1) / np.sqrt((before**2).sum(axis=-1)))


def test_the_largest_dimensions_are_those_of_hugging_faces_stream(case: Case) -> None:
    mean = case.seen.stream(case.config.n_layer)[:, 1:].mean(axis=1)  # [point d_model]
    found = largest_dimensions(case.trace, at=None, n_shown=3)
    close(found.values, mean[:, found.dimensions].T)
    shares = (mean**2 / (mean**2).sum(axis=1, keepdims=True)).max(axis=0)
    assert found.dimensions.tolist() == np.argsort(-shares)[:3].tolist()


def test_every_layer_norm_is_hugging_faces(case: Case) -> None:
    found, epsilon = norm_statistics(case.trace), case.config.layer_norm_epsilon
    for norm, name in enumerate(norm_names(case.config.n_layer)):
        into = case.seen.into[name]
        close(found.means[norm], into.mean(axis=-1))
        close(found.scales[norm], 1 / np.sqrt(into.var(axis=-1) + epsilon))
        for pos in range(case.trace.n_tokens):
            close(normed_vector(case.trace, norm, pos).after, case.seen.out[name][pos])


def close(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Equal to a share of the largest number of its kind."""
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=RTOL * float(np.abs(theirs).max()))
