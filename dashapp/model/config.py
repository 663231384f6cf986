"""GPT-2's configuration: the sizes, and the few options that change what is computed.

Knows the fields of a Hugging Face `config.json` and which of them matter; knows nothing of weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from dashapp.errors import ForeignTokenizer, UnreadableConfig, UnsupportedConfig

D_VOCAB = 50_257  # GPT-2's tokenizer has that many tokens

# Names of the same function: GELU in its tanh form (Hendrycks & Gimpel 2016, eq. 2), which GPT-2 was trained with.
TANH_GELU_NAMES = ("gelu_new", "gelu_pytorch_tanh", "gelu_fast")

# Hugging Face's general names of GPT-2's fields; where a file has both, its library takes the general one.
GENERAL_NAMES = {
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_embd": "hidden_size",
    "n_positions": "max_position_embeddings",
}


@dataclass(frozen=True, kw_only=True)  # no slots: the defaults are read as class attributes
class GPT2Config:
    """Sizes and options of one GPT-2; the defaults are those of the 124M model ("gpt2").

    n_layer, n_head: counts; d_model: width of the residual stream; d_mlp: width of the MLP; n_ctx: longest prompt in
    tokens; d_vocab: number of tokens. `d_head` = d_model / n_head.

    scale_attn_weights: divide scores by √d_head. scale_attn_by_inverse_layer_idx: also by layer + 1.
    reorder_and_upcast_attn: compute scores and softmax in float32 whatever the dtype (changes bfloat16 only).
    Dropout probabilities act in training only.
    """

    n_layer: int = 12
    n_head: int = 12
    d_model: int = 768
    d_mlp: int = 3072
    n_ctx: int = 1024
    d_vocab: int = D_VOCAB
    layer_norm_epsilon: float = 1e-5
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    reorder_and_upcast_attn: bool = False
    embd_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    resid_pdrop: float = 0.1

    def __post_init__(self) -> None:
        for name in ("n_layer", "n_head", "d_model", "d_mlp", "n_ctx", "d_vocab"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}")
        if self.d_model % self.n_head:
            raise ValueError(f"d_model must be a multiple of n_head, got {self.d_model} and {self.n_head}")

    @property
    def d_head(self) -> int:
        return self.d_model // self.n_head

    @property
    def n_params(self) -> int:
        """Number of parameters, the tied unembedding counted once."""
        per_block = (
            4 * self.d_model  # two norms
            + (self.d_model + 1) * 3 * self.d_model  # c_attn
            + (self.d_model + 1) * self.d_model  # c_proj
            + (self.d_model + 1) * self.d_mlp  # c_fc
            + (self.d_mlp + 1) * self.d_model  # c_proj
        )
        return (self.d_vocab + self.n_ctx) * self.d_model + self.n_layer * per_block + 2 * self.d_model

    def attn_scale(self, layer: int) -> float:
        """The factor on q·k in one layer: 1/√d_head in a plain GPT-2."""
        scale = self.d_head**-0.5 if self.scale_attn_weights else 1.0
        return scale / (layer + 1) if self.scale_attn_by_inverse_layer_idx else scale

    def as_dict(self) -> dict[str, int | float | bool]:
        return asdict(self)

    @property
    def computation(self) -> dict[str, int | float | bool]:
        """The fields that determine what a trained model computes (dropout does not)."""
        return {name: value for name, value in asdict(self).items() if not name.endswith("_pdrop")}

    @classmethod
    def from_hf(cls, fields: Mapping[str, object], where: object) -> GPT2Config:
        """The configuration in a Hugging Face `config.json`; absent fields take Hugging Face's defaults.

        `where` names the file in errors. Fields that cannot change the computation are ignored; those that do are
        honoured or refused by name.

        Raises: UnreadableConfig, UnsupportedConfig, ForeignTokenizer.
        """
        reader = _FieldReader(fields, where)
        _refuse_other_computations(reader)
        d_model = reader.count("n_embd", cls.d_model)
        n_head = reader.count("n_head", cls.n_head)
        if d_model % n_head:
            raise UnreadableConfig(where, f"n_embd = {d_model} is not a multiple of n_head = {n_head}")
        return cls(
            n_layer=reader.count("n_layer", cls.n_layer),
            n_head=n_head,
            d_model=d_model,
            d_mlp=reader.count("n_inner", 4 * d_model),
            n_ctx=reader.count("n_positions", cls.n_ctx),
            layer_norm_epsilon=reader.number("layer_norm_epsilon", cls.layer_norm_epsilon),
            scale_attn_weights=reader.flag("scale_attn_weights", cls.scale_attn_weights),
            scale_attn_by_inverse_layer_idx=reader.flag("scale_attn_by_inverse_layer_idx", False),
            reorder_and_upcast_attn=reader.flag("reorder_and_upcast_attn", False),
            embd_pdrop=reader.number("embd_pdrop", cls.embd_pdrop),
            attn_pdrop=reader.number("attn_pdrop", cls.attn_pdrop),
            resid_pdrop=reader.number("resid_pdrop", cls.resid_pdrop),
        )


class _FieldReader:
    """Typed access to the fields of a config.json; `null` counts as absent."""

    def __init__(self, fields: Mapping[str, object], where: object) -> None:
        self.fields, self.where = fields, where

    def get(self, name: str, default: object) -> object:
        general = self.fields.get(GENERAL_NAMES.get(name, name))
        value = self.fields.get(name) if general is None else general
        return default if value is None else value

    def count(self, name: str, default: int) -> int:
        value = self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UnreadableConfig(self.where, f"{name} = {value!r} is not a count of at least 1")
        return value

    def number(self, name: str, default: float) -> float:
        value = self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise UnreadableConfig(self.where, f"{name} = {value!r} is not a number from 0 to 1")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        value = self.get(name, default)
        if not isinstance(value, bool):
            raise UnreadableConfig(self.where, f"{name} = {value!r} is neither true nor false")
        return value


def _refuse_other_computations(reader: _FieldReader) -> None:
    model_type = reader.get("model_type", "gpt2")
    if model_type != "gpt2":
        raise UnsupportedConfig(reader.where, "model_type", model_type, "'gpt2'")
    activation = reader.get("activation_function", "gelu_new")
    if activation not in TANH_GELU_NAMES:
        accepted = "GELU in its tanh form (" + ", ".join(repr(name) for name in TANH_GELU_NAMES) + ")"
        raise UnsupportedConfig(reader.where, "activation_function", activation, accepted)
    if not reader.flag("tie_word_embeddings", True):
        raise UnsupportedConfig(reader.where, "tie_word_embeddings", False, "true")
    if reader.flag("add_cross_attention", False):
        raise UnsupportedConfig(reader.where, "add_cross_attention", True, "false")
    d_vocab = reader.count("vocab_size", D_VOCAB)
    if d_vocab != D_VOCAB:
        raise ForeignTokenizer(reader.where, f"vocab_size is {d_vocab:,}")
