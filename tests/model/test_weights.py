from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors

from dashapp.errors import (
    CheckpointError,
    DamagedFile,
    ForeignTokenizer,
    MisshapedTensor,
    MissingTensor,
    MistypedTensor,
    NotAModelFolder,
    PickledWeights,
    UnknownTensor,
    UnreadableConfig,
    UnreadableIndex,
    UnsupportedConfig,
    UntiedUnembedding,
)
from dashapp.model.tensorfile import round_to_bfloat16, save_tensors, widen_bfloat16
from dashapp.model.weights import FileState, FingerprintCache, Weights, file_state, tensor_shapes
from tests.doubles import TINY_TEXT, random_weights, weight_shapes

Arrays = dict[str, np.ndarray]
N_LAYER, N_CTX = TINY_TEXT.n_layer, TINY_TEXT.n_ctx
LAST_LAYER = N_LAYER - 1


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    """The weights of `model_folder`."""
    return random_weights(TINY_TEXT)


@pytest.fixture
def folder(tmp_path: Path, model_folder: Path) -> Path:
    """A folder with a config.json only; tests put the weights into it."""
    (tmp_path / "model").mkdir()
    shutil.copy(model_folder / "config.json", tmp_path / "model")
    return tmp_path / "model"


def save(folder: Path, arrays: Arrays) -> Path:
    save_tensors(folder / "model.safetensors", arrays, {"format": "pt"})
    return folder


def save_as(path: Path, arrays: Arrays, dtype: str) -> None:
    """Write with the safetensors library, which also knows bfloat16 and the 8-bit floats."""
    tensors = {
        name: safetensors.TensorSpec(dtype=dtype, shape=array.shape, data_ptr=array.ctypes.data, data_len=array.nbytes)
        for name, array in arrays.items()
    }
    path.write_bytes(safetensors.serialize(tensors))


def set_field(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def prefixed(arrays: Arrays) -> Arrays:
    return {f"transformer.{name}": array for name, array in arrays.items()}


def mask_buffers() -> Arrays:
    causal = np.tril(np.ones((1, 1, N_CTX, N_CTX), np.float32))
    masks = {f"h.{layer}.attn.bias": causal for layer in range(N_LAYER)}
    return masks | {f"h.{layer}.attn.masked_bias": np.float32(-1e4).reshape(()) for layer in range(N_LAYER)}


# Layouts -------------------------------------------------------------------------------------------------------------

LAYOUTS: dict[str, Callable[[Arrays], Arrays]] = {
    "plain": lambda arrays: arrays,
    "prefixed": prefixed,
    "with buffers": lambda arrays: arrays | mask_buffers(),
    "prefixed, with buffers": lambda arrays: prefixed(arrays | mask_buffers()),
    "boolean buffers": lambda arrays: arrays | {"h.0.attn.bias": np.ones((1, 1, N_CTX, N_CTX), bool)},
    "tied head": lambda arrays: arrays | {"lm_head.weight": arrays["wte.weight"]},
    "prefixed, tied head": lambda arrays: prefixed(arrays) | {"lm_head.weight": arrays["wte.weight"]},
    "reversed order": lambda arrays: dict(reversed(arrays.items())),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_weights_and_fingerprint(
    folder: Path, model_folder: Path, arrays: Arrays, layout: str
) -> None:
    weights = Weights.open(save(folder, LAYOUTS[layout](arrays)))
    assert list(weights) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(weights[name], array, strict=True)
    assert weights.stored_dtype == "float32"
    assert weights.fingerprint == Weights.open(model_folder).fingerprint


def save_shards(folder: Path, arrays: Arrays) -> Path:
    names = list(arrays)
    shards = {"model-00001-of-00002.safetensors": names[:5], "model-00002-of-00002.safetensors": names[5:]}
    for file, part in shards.items():
        save_tensors(folder / file, {name: arrays[name] for name in part}, {"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, part in shards.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_a_checkpoint_in_several_files_gives_the_same_weights_and_fingerprint(
    folder: Path, model_folder: Path, arrays: Arrays
) -> None:
    weights = Weights.open(save_shards(folder, prefixed(arrays)))
    for name, array in arrays.items():
        np.testing.assert_array_equal(weights[name], array, strict=True)
    assert weights.fingerprint == Weights.open(model_folder).fingerprint


@pytest.mark.parametrize(("dtype", "numpy_dtype"), [("float16", np.float16), ("float64", np.float64)])
def test_other_dtypes_are_mapped_as_stored_and_read_as_float32(
    folder: Path, arrays: Arrays, dtype: str, numpy_dtype: type
) -> None:
    stored = {name: array.astype(numpy_dtype) for name, array in arrays.items()}
    weights = Weights.open(save(folder, stored))
    assert weights.stored_dtype == dtype
    for name, array in stored.items():
        np.testing.assert_array_equal(weights[name], array, strict=True)
        np.testing.assert_array_equal(weights.float32(name), array.astype(np.float32), strict=True)


def test_bfloat16_is_mapped_as_its_bits_and_widened_for_readers(folder: Path, arrays: Arrays) -> None:
    bits = {name: round_to_bfloat16(array) for name, array in arrays.items()}
    save_as(folder / "model.safetensors", bits, "bfloat16")
    weights = Weights.open(folder)
    assert weights.stored_dtype == "bfloat16"
    for name, array in bits.items():
        np.testing.assert_array_equal(weights[name], array, strict=True)
        np.testing.assert_array_equal(weights.bfloat16_bits(name), array, strict=True)
        np.testing.assert_array_equal(weights.float32(name), widen_bfloat16(array), strict=True)


def test_readers_get_the_values_that_a_bfloat16_model_computes_with(model_folder: Path, arrays: Arrays) -> None:
    values = Weights.open(model_folder).float32("ln_f.weight", dtype="bfloat16")
    np.testing.assert_array_equal(values, widen_bfloat16(round_to_bfloat16(arrays["ln_f.weight"])), strict=True)


def test_float64_readers_get_float64(model_folder: Path, arrays: Arrays) -> None:
    values = Weights.open(model_folder).float64("wpe.weight")
    np.testing.assert_array_equal(values, arrays["wpe.weight"].astype(np.float64), strict=True)


def test_the_table_of_shapes_is_the_one_written_out_by_hand() -> None:
    assert list(tensor_shapes(TINY_TEXT).items()) == list(weight_shapes(TINY_TEXT).items())


def test_shapes_add_up_to_the_number_of_parameters() -> None:
    assert sum(int(np.prod(shape)) for shape in tensor_shapes(TINY_TEXT).values()) == TINY_TEXT.n_params


@pytest.mark.reference
@pytest.mark.parametrize("with_head", [True, False])
@pytest.mark.parametrize("shard_size", ["5GB", "1MB"])
def test_what_hugging_face_saves_is_read_as_it_is(tmp_path: Path, with_head: bool, shard_size: str) -> None:
    import torch
    from transformers import GPT2Config as TheirConfig
    from transformers import GPT2LMHeadModel, GPT2Model

    torch.manual_seed(0)
    kind = GPT2LMHeadModel if with_head else GPT2Model
    theirs = kind(TheirConfig(n_layer=2, n_head=2, n_embd=8, n_positions=5))
    theirs.save_pretrained(tmp_path, max_shard_size=shard_size)
    assert (tmp_path / "model.safetensors").exists() == (shard_size == "5GB")
    weights = Weights.open(tmp_path)
    body = theirs.transformer if with_head else theirs
    expected = dict(body.named_parameters())
    assert set(weights) == set(expected)
    for name, parameter in expected.items():
        np.testing.assert_array_equal(weights[name], parameter.detach().numpy(), strict=True)


# On disk until looked at ---------------------------------------------------------------------------------------------


def test_weights_are_the_mapped_file_and_not_a_copy(model_folder: Path) -> None:
    weights = Weights.open(model_folder)
    for array in (weights["wte.weight"], weights.float32("wte.weight"), weights.private_arrays()["wte.weight"]):
        base = array
        while isinstance(base.base, np.ndarray):
            base = base.base
        assert isinstance(base, np.memmap)


def test_weights_cannot_be_written_to(model_folder: Path) -> None:
    weights = Weights.open(model_folder)
    for array in (weights["ln_f.weight"], weights.float32("ln_f.weight")):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_writing_into_private_arrays_changes_neither_weights_nor_fingerprint(model_folder: Path) -> None:
    weights = Weights.open(model_folder)
    before = weights["ln_f.weight"].copy()
    weights.private_arrays()["ln_f.weight"][:] = 7
    np.testing.assert_array_equal(weights["ln_f.weight"], before)
    assert weights.fingerprint == Weights.open(model_folder).fingerprint


def test_a_deep_copy_of_weights_is_the_weights(model_folder: Path) -> None:
    weights = Weights.open(model_folder)
    assert copy.deepcopy({"weights": weights})["weights"] is weights


def test_weights_are_named_as_their_folder_unless_told(model_folder: Path) -> None:
    assert Weights.open(model_folder).name == "tiny"
    assert Weights.open(model_folder, name="gpt2").name == "gpt2"


@pytest.mark.parametrize(
    "module", ["config", "tensorfile", "tokenizer_files", "weights", "memory", "download", "registry"]
)
def test_reading_weights_imports_no_torch(module: str) -> None:
    code = f"import sys, dashapp.model.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Refusals ------------------------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAModelFolder, match=r"has no config\.json"):
        Weights.open(tmp_path / "nowhere")


def test_a_folder_without_weights_is_refused(folder: Path) -> None:
    with pytest.raises(NotAModelFolder, match=r"has no model\.safetensors"):
        Weights.open(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000])
def test_a_config_that_is_not_a_json_object_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(UnreadableConfig, match="it is not"):
        Weights.open(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pth", "model.ckpt", "model.pkl"])
def test_a_pickle_is_refused_without_being_opened(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"never read")
    with pytest.raises(PickledWeights, match=f"{name}' is a pickle"):
        Weights.open(folder)


def test_a_pickle_under_the_name_of_safetensors_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps({"wte.weight": 1}))
    with pytest.raises(PickledWeights):
        Weights.open(folder)


def test_a_pickle_beside_safetensors_is_left_alone(folder: Path, arrays: Arrays) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"never read")
    Weights.open(save(folder, arrays))


def test_a_missing_tensor_is_named(folder: Path, arrays: Arrays) -> None:
    others = {name: array for name, array in arrays.items() if name != "h.1.mlp.c_fc.bias"}
    with pytest.raises(MissingTensor, match=r"has no 'h\.1\.mlp\.c_fc\.bias'"):
        Weights.open(save(folder, others))


def test_a_misshaped_tensor_is_named_with_both_shapes(folder: Path, arrays: Arrays) -> None:
    transposed = arrays | {"h.0.attn.c_attn.weight": arrays["h.0.attn.c_attn.weight"].T}
    with pytest.raises(
        MisshapedTensor, match=r"'h\.0\.attn\.c_attn\.weight' of shape \(30, 10\) instead of \(10, 30\)"
    ):
        Weights.open(save(folder, transposed))


@pytest.mark.parametrize(
    "name",
    [
        "h.0.crossattention.c_attn.weight",
        "score.weight",
        f"h.{N_LAYER}.ln_1.weight",
        f"h.{N_LAYER}.attn.bias",
        "h.0.attn.c_attn.weight_scale",
        "transformer.transformer.wte.weight",
    ],
)
def test_a_tensor_that_gpt2_does_not_have_is_named(folder: Path, arrays: Arrays, name: str) -> None:
    with pytest.raises(UnknownTensor, match=f"also has '{name}'"):
        Weights.open(save(folder, arrays | {name: np.ones(3, np.float32)}))


def test_a_tensor_under_both_of_its_names_is_refused(folder: Path, arrays: Arrays) -> None:
    with pytest.raises(UnknownTensor, match=r"also has '(transformer\.)?ln_f\.bias'"):
        Weights.open(save(folder, arrays | {"transformer.ln_f.bias": arrays["ln_f.bias"]}))


def test_an_untied_head_is_refused(folder: Path, arrays: Arrays) -> None:
    other = arrays["wte.weight"].copy()
    other[-1, -1] += 1
    with pytest.raises(UntiedUnembedding, match=r"differs from 'wte\.weight'"):
        Weights.open(save(folder, arrays | {"lm_head.weight": other}))


@pytest.mark.parametrize("dtype", ["int8", "float8_e4m3fn"])
def test_quantised_weights_are_refused(folder: Path, arrays: Arrays, dtype: str) -> None:
    save_as(folder / "model.safetensors", {name: array.astype(np.int8) for name, array in arrays.items()}, dtype)
    with pytest.raises(MistypedTensor, match=r"has 'wte\.weight' as (I8|F8_E4M3)"):
        Weights.open(folder)


@pytest.mark.parametrize("n_left", [0, 5, 1000, -1])
def test_a_truncated_file_is_refused(folder: Path, arrays: Arrays, n_left: int) -> None:
    path = save(folder, arrays) / "model.safetensors"
    os.truncate(path, n_left if n_left >= 0 else path.stat().st_size + n_left)
    with pytest.raises(DamagedFile, match="delete it and fetch it again"):
        Weights.open(folder)


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ("{", "it is not JSON"),
        ("[]", "it has no weight_map"),
        ('{"weight_map": {}}', "it has no weight_map"),
        ('{"weight_map": {"wte.weight": 1}}', "it has no weight_map"),
        ('{"weight_map": {"wte.weight": "../model.safetensors"}}', "outside the folder"),
        ('{"weight_map": {"wte.weight": "/etc/passwd"}}', "outside the folder"),
    ],
)
def test_an_index_that_names_no_files_of_the_folder_is_refused(folder: Path, index: str, says: str) -> None:
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(UnreadableIndex, match=says):
        Weights.open(folder)


def test_a_missing_shard_is_named(folder: Path, arrays: Arrays) -> None:
    (save_shards(folder, arrays) / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(NotAModelFolder, match=r"has no model-00002-of-00002\.safetensors"):
        Weights.open(folder)


def test_a_tensor_in_two_shards_is_refused(folder: Path, arrays: Arrays) -> None:
    save_tensors(save_shards(folder, arrays) / "model-00002-of-00002.safetensors", arrays, {})
    with pytest.raises(UnreadableIndex, match=r"is in two of its files"):
        Weights.open(folder)


def test_a_foreign_tokenizer_is_refused(folder: Path, arrays: Arrays) -> None:
    (folder / "vocab.json").write_text('{"a": 0}')
    with pytest.raises(ForeignTokenizer, match=r"vocab\.json"):
        Weights.open(save(folder, arrays))


def test_a_foreign_vocabulary_size_is_refused(folder: Path) -> None:
    set_field(folder, vocab_size=50_400)
    with pytest.raises(ForeignTokenizer, match="vocab_size is 50,400"):
        Weights.open(folder)


def test_a_config_that_changes_the_computation_is_refused(folder: Path) -> None:
    set_field(folder, activation_function="relu")
    with pytest.raises(UnsupportedConfig, match="activation_function = 'relu'"):
        Weights.open(folder)


def test_every_refusal_is_a_checkpoint_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        Weights.open(tmp_path)


# Fingerprints --------------------------------------------------------------------------------------------------------


def test_one_changed_weight_changes_the_fingerprint(folder: Path, model_folder: Path, arrays: Arrays) -> None:
    other = arrays["h.2.mlp.c_proj.weight"].copy()
    other[-1, -1] = np.nextafter(other[-1, -1], np.float32(9))
    weights = Weights.open(save(folder, arrays | {"h.2.mlp.c_proj.weight": other}))
    assert weights.fingerprint != Weights.open(model_folder).fingerprint


def test_an_option_that_changes_the_computation_changes_the_fingerprint(folder: Path, arrays: Arrays) -> None:
    before = Weights.open(save(folder, arrays)).fingerprint
    set_field(folder, attn_pdrop=0.3)
    assert Weights.open(folder).fingerprint == before
    set_field(folder, scale_attn_by_inverse_layer_idx=True)
    assert Weights.open(folder).fingerprint != before


def test_the_dtype_is_part_of_the_fingerprint(folder: Path, model_folder: Path, arrays: Arrays) -> None:
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    assert Weights.open(save(folder, wide)).fingerprint != Weights.open(model_folder).fingerprint


def test_the_same_bits_as_another_dtype_have_another_fingerprint(folder: Path, arrays: Arrays) -> None:
    fingerprints = set()
    for dtype in ("float16", "bfloat16"):
        save_as(folder / "model.safetensors", {name: round_to_bfloat16(a) for name, a in arrays.items()}, dtype)
        fingerprints.add(Weights.open(folder).fingerprint)
    assert len(fingerprints) == 2


def test_files_that_changed_after_opening_have_no_fingerprint(folder: Path, arrays: Arrays) -> None:
    weights = Weights.open(save(folder, arrays))
    save(folder, arrays | {"ln_f.bias": arrays["ln_f.bias"] + 1})
    with pytest.raises(DamagedFile, match="changed since they were opened"):
        _ = weights.fingerprint


@pytest.fixture
def settled(folder: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder of which the clock says that it was written long enough ago to be remembered."""
    later_ns = file_state([save(folder, arrays) / "model.safetensors"]).newest_ns + 10**10
    monkeypatch.setattr("time.time_ns", lambda: later_ns)
    return folder


def count_hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that grows by the folder whenever weights are hashed."""
    hashed: list[str] = []
    original = Weights._hash

    def counted(self: Weights) -> str:
        hashed.append(str(self.folder))
        return original(self)

    monkeypatch.setattr(Weights, "_hash", counted)
    return hashed


def test_a_known_fingerprint_is_not_computed_again(
    settled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = count_hashes(monkeypatch)
    cache = tmp_path / "cache" / "fingerprints.json"
    fingerprints = {Weights.open(settled, fingerprints=FingerprintCache(cache)).fingerprint for _ in range(3)}
    assert len(fingerprints) == len(hashed) == 1


def test_a_fingerprint_is_known_without_reading_once_somebody_has_read(
    settled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = count_hashes(monkeypatch)
    cache = FingerprintCache(tmp_path / "fingerprints.json")
    weights = Weights.open(settled, fingerprints=cache)
    assert weights.known_fingerprint is None
    assert Weights.open(settled).known_fingerprint is None
    assert hashed == []
    fingerprint = weights.fingerprint
    assert weights.known_fingerprint == fingerprint
    assert Weights.open(settled, fingerprints=cache).known_fingerprint == fingerprint
    assert len(hashed) == 1


def test_changed_and_lost_files_are_noticed_and_have_no_known_fingerprint(folder: Path, arrays: Arrays) -> None:
    weights = Weights.open(save(folder, arrays))
    _ = weights.fingerprint
    assert not weights.has_changed
    save(folder, arrays)
    assert weights.has_changed
    assert weights.known_fingerprint is None
    gone = Weights.open(folder)
    shutil.rmtree(folder)
    assert gone.has_changed


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"format": 0, "fingerprints": {}}', b"\xff\xfe"])
def test_a_damaged_fingerprint_cache_is_written_anew(
    settled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes
) -> None:
    cache = FingerprintCache(tmp_path / "fingerprints.json")
    cache.path.write_bytes(damage)
    hashed = count_hashes(monkeypatch)
    fingerprints = {Weights.open(settled, fingerprints=cache).fingerprint for _ in range(2)}
    assert len(fingerprints) == len(hashed) == 1


def test_a_garbled_entry_is_not_believed(settled: Path, tmp_path: Path) -> None:
    cache = FingerprintCache(tmp_path / "fingerprints.json")
    true = Weights.open(settled, fingerprints=cache).fingerprint
    cache.path.write_text(cache.path.read_text().replace(true, true[:-1] + "?"))
    assert Weights.open(settled, fingerprints=cache).fingerprint == true


def test_a_changed_file_is_hashed_again(settled: Path, tmp_path: Path, arrays: Arrays) -> None:
    cache = FingerprintCache(tmp_path / "fingerprints.json")
    before = Weights.open(settled, fingerprints=cache).fingerprint
    save(settled, arrays | {"ln_f.bias": arrays["ln_f.bias"] + 1})
    assert Weights.open(settled, fingerprints=cache).fingerprint != before


def test_a_file_written_this_moment_is_not_remembered(tmp_path: Path) -> None:
    """A second write within one tick of the file system's clock would leave the same times."""
    cache = FingerprintCache(tmp_path / "fingerprints.json")
    state = FileState("key", newest_ns=5 * 10**9)
    cache.put(state, "0" * 64, now_ns=6 * 10**9)
    assert cache.get(state) is None
    cache.put(state, "0" * 64, now_ns=8 * 10**9)
    assert cache.get(state) == "0" * 64


def test_the_fingerprint_cache_forgets_the_oldest(tmp_path: Path) -> None:
    cache = FingerprintCache(tmp_path / "fingerprints.json", n_max=2)
    states = [FileState(key, newest_ns=0) for key in "abc"]
    for state in states:
        cache.put(state, "0" * 64, now_ns=10**10)
    assert [cache.get(state) for state in states] == [None, "0" * 64, "0" * 64]
    assert [path.name for path in tmp_path.iterdir()] == ["fingerprints.json"]
