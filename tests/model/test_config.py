from __future__ import annotations

import pytest

from dashapp.errors import ForeignTokenizer, UnreadableConfig, UnsupportedConfig
from dashapp.model.config import GPT2Config

WHERE = "config.json"

# The fields of the config.json published for the 124M model that this app reads or must ignore.
PUBLISHED = {
    "activation_function": "gelu_new",
    "architectures": ["GPT2LMHeadModel"],
    "attn_pdrop": 0.1,
    "bos_token_id": 50256,
    "embd_pdrop": 0.1,
    "eos_token_id": 50256,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05,
    "model_type": "gpt2",
    "n_ctx": 1024,
    "n_embd": 768,
    "n_head": 12,
    "n_layer": 12,
    "n_positions": 1024,
    "resid_pdrop": 0.1,
    "summary_activation": None,
    "summary_first_dropout": 0.1,
    "summary_proj_to_labels": True,
    "summary_type": "cls_index",
    "summary_use_proj": True,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
    "vocab_size": 50257,
}


def test_the_published_config_is_the_124m_model() -> None:
    assert GPT2Config.from_hf(PUBLISHED, WHERE) == GPT2Config()


def test_fields_that_cannot_change_the_computation_are_ignored() -> None:
    extra = {"use_cache": False, "torch_dtype": "float16", "summary_type": "last", "made_up": [1], "n_ctx": 7}
    assert GPT2Config.from_hf(PUBLISHED | extra, WHERE) == GPT2Config()


@pytest.mark.parametrize(("n_layer", "n_params"), [(12, 124_439_808), (6, 81_912_576)])
def test_parameter_counts_are_the_published_ones(n_layer: int, n_params: int) -> None:
    assert GPT2Config(n_layer=n_layer).n_params == n_params


@pytest.mark.reference
def test_absent_fields_take_hugging_faces_defaults() -> None:
    from transformers import GPT2Config as TheirConfig

    assert GPT2Config.from_hf({}, WHERE) == GPT2Config.from_hf(TheirConfig().to_dict(), WHERE)


@pytest.mark.reference
@pytest.mark.parametrize(
    "fields",
    [
        {"hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 3, "max_position_embeddings": 7},
        {"n_embd": 32, "hidden_size": 64, "n_head": 2, "num_attention_heads": 4},
        {"n_embd": 24, "n_inner": None},
        {"n_embd": 24, "n_inner": 11},
    ],
)
def test_general_names_are_read_as_hugging_face_reads_them(fields: dict[str, object]) -> None:
    from transformers import GPT2Config as TheirConfig

    theirs = TheirConfig.from_dict(fields)
    ours = GPT2Config.from_hf(fields, WHERE)
    d_mlp = 4 * theirs.n_embd if theirs.n_inner is None else theirs.n_inner
    expected = (theirs.n_layer, theirs.n_head, theirs.n_embd, theirs.n_positions, d_mlp)
    assert (ours.n_layer, ours.n_head, ours.d_model, ours.n_ctx, ours.d_mlp) == expected


@pytest.mark.parametrize("name", ["scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn"])
def test_attention_options_are_honoured(name: str) -> None:
    assert getattr(GPT2Config.from_hf({name: True}, WHERE), name) is True


def test_unscaled_attention_is_honoured() -> None:
    assert GPT2Config.from_hf({"scale_attn_weights": False}, WHERE).attn_scale(3) == 1.0


@pytest.mark.parametrize("name", ["gelu_new", "gelu_pytorch_tanh", "gelu_fast"])
def test_other_names_of_the_tanh_gelu_are_accepted(name: str) -> None:
    assert GPT2Config.from_hf({"activation_function": name}, WHERE) == GPT2Config()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("activation_function", "relu"),
        ("activation_function", "gelu"),
        ("model_type", "gpt_neo"),
        ("tie_word_embeddings", False),
        ("add_cross_attention", True),
    ],
)
def test_a_field_that_changes_the_computation_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(UnsupportedConfig, match=f"config.json' has {field} = {value!r}") as refusal:
        GPT2Config.from_hf(PUBLISHED | {field: value}, WHERE)
    assert refusal.value.field == field


def test_another_vocabulary_is_refused() -> None:
    with pytest.raises(ForeignTokenizer, match="vocab_size is 50,258"):
        GPT2Config.from_hf({"vocab_size": 50258}, WHERE)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"n_layer": 0}, "n_layer = 0 is not a count"),
        ({"n_layer": "12"}, "n_layer = '12' is not a count"),
        ({"n_head": True}, "n_head = True is not a count"),
        ({"num_hidden_layers": 2.5}, "n_layer = 2.5 is not a count"),
        ({"layer_norm_epsilon": "small"}, "layer_norm_epsilon = 'small' is not a number"),
        ({"layer_norm_epsilon": float("nan")}, "layer_norm_epsilon = nan is not a number"),
        ({"scale_attn_weights": 1}, "scale_attn_weights = 1 is neither true nor false"),
        ({"n_embd": 10, "n_head": 3}, "n_embd = 10 is not a multiple of n_head = 3"),
    ],
)
def test_a_field_of_the_wrong_kind_is_refused_by_name(fields: dict[str, object], says: str) -> None:
    with pytest.raises(UnreadableConfig, match=says):
        GPT2Config.from_hf(fields, WHERE)


def test_dropout_does_not_count_as_computation() -> None:
    assert GPT2Config(attn_pdrop=0.5).computation == GPT2Config().computation
    assert GPT2Config(reorder_and_upcast_attn=True).computation != GPT2Config().computation
