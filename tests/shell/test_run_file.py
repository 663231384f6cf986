"""A run leaves as a file and comes back by one: bit for bit, or refused in words; and it is nobody else's answer."""

from __future__ import annotations

import io
import json
import shutil
import struct
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from flask import current_app
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import dashapp
from dashapp.app import METRICS
from dashapp.errors import DashappError
from dashapp.jobs.file_check import check_among
from dashapp.jobs.prompt import Unwatched, run_prompt
from dashapp.jobs.reception import Reception
from dashapp.jobs.request import EXAMPLE, PromptRequest
from dashapp.jobs.works import Work
from dashapp.panels.catalogue import PAIR_PANELS, PANELS
from dashapp.panels.panel import draw
from dashapp.panels.source import Source
from dashapp.shell import callbacks, run_file
from dashapp.traces.names import TENSORS
from dashapp.traces.record import Trace
from tests.panels.test_takeaway import computed, taken, view_of
from tests.store.made import file_bytes

if TYPE_CHECKING:
    from dash import Dash
    from flask.testing import FlaskClient

    from dashapp.model.gpt2 import GPT2
    from dashapp.settings import Settings

PATH: Final = run_file.PATH
TOLD: Final = {"n_prompt": 3, "stop": "length", "settings": EXAMPLE.sampling.as_dict()}


@pytest.fixture
def source(app: Dash) -> Iterator[Source]:
    """What the app reads from, empty before and after."""
    with app.server.app_context():
        here = Source.here()
        here.store.clear()
        yield here
        here.store.clear()


@pytest.fixture(scope="module")
def own_model(model_folder: Path, settings: Settings) -> GPT2:
    """The model that the app has."""
    return dashapp.load(str(model_folder), settings=settings)


@pytest.fixture(scope="module")
def made(own_model: GPT2) -> Trace:
    """A trace that was computed here."""
    return dashapp.trace(own_model, "a b c d", cache=False)


@pytest.fixture
def trace(source: Source, made: Trace) -> Trace:
    """The same, kept where the app finds it."""
    source.store.put_trace(made)
    return made


@pytest.fixture
def content(client: FlaskClient, trace: Trace) -> bytes:
    """Its file."""
    return downloaded(client, trace.key)


def downloaded(client: FlaskClient, key: str) -> bytes:
    offer = client.post(f"{PATH}/ask", json={"trace": key, "run": TOLD}).get_json()
    response = client.get(offer["address"], query_string={"run": offer["run"]})
    assert response.status_code == 200
    assert response.headers["Content-Disposition"] == f'attachment; filename="{offer["name"]}"'
    assert int(response.headers["Content-Length"]) == len(response.data)
    return response.data


def brought(client: FlaskClient, content: bytes, **options: Any) -> dict[str, Any]:
    response = client.post(PATH, data=content, content_type=run_file.BYTES, **options)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.get_json()
    return found


def answered(app: Dash, request: object) -> dict[str, Any]:
    reception: Reception = app.server.extensions[callbacks.RECEPTION]
    return reception.answer(request)


def leftovers(source: Source) -> list[Path]:
    """What lies in the folder of files, but for its index."""
    return [path for path in (source.store.folder / "files").glob("*") if not path.name.startswith("cache.db")]


def put_together(header: dict[str, Any], content: bytes) -> bytes:
    """A file with another header, as it would be padded, and the same tensors."""
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % 4096)
    return struct.pack("<Q", len(text)) + text + content[data_start(content) :]


def data_start(content: bytes) -> int:
    return 8 + int(struct.unpack("<Q", content[:8])[0])


def header_of(content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(content[8 : data_start(content)])
    return found


# There and back -----------------------------------------------------------------------------------------------------


def test_a_run_comes_back_bit_for_bit(
    app: Dash, client: FlaskClient, source: Source, trace: Trace, content: bytes
) -> None:
    found = brought(client, content)
    assert set(found) == {"file", "request"}
    back = source.trace(found["file"])
    assert back is not None
    assert back.is_from_file
    for name in TENSORS:
        assert np.array_equal(back.read(name), trace.read(name), equal_nan=TENSORS[name].dtype == np.float32), name
    panel = PANELS["head-pattern"]
    knobs = {knob.name: knob.default for knob in panel.knobs}
    view = {"theme": "light", "text": 1, "pos": 2, "layer": 1, "head": 1, "key": 1, "n_prompt": 3, "knobs": knobs}
    figures = [draw(panel, each, view).figure.to_json() for each in (back, trace)]
    assert figures[0] == figures[1]
    answer = answered(app, {"id": "0" * 32, **found["request"]})
    assert answer["kind"] == "known"
    assert (answer["trace"], answer["file"], answer["n_prompt"]) == (found["file"], found["file"], 3)
    assert answer["settings"] == EXAMPLE.sampling.as_dict()
    assert answer["tokens"] == trace.token_texts
    assert found["request"] | {"file": ""} == {
        "file": "",
        "prompt": "a b",
        "bos": True,
        "model": trace.model_name,
        **EXAMPLE.sampling.as_dict(),
    }


def test_a_file_that_was_brought_leaves_as_it_came(client: FlaskClient, source: Source, content: bytes) -> None:
    found = brought(client, content)
    assert downloaded(client, found["file"]) == content
    assert brought(client, content) == found
    assert source.store.stats().n_files == 1


def test_python_reads_a_downloaded_file_and_its_own_files_come_by_upload(
    client: FlaskClient, source: Source, trace: Trace, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "run.safetensors"
    path.write_bytes(content)
    opened = Trace.open(path)
    for name in TENSORS:
        assert np.array_equal(opened.read(name), trace.read(name), equal_nan=TENSORS[name].dtype == np.float32), name
    assert (opened.key, opened.run_told.n_prompt, opened.is_from_file) == (trace.key, 3, False)
    trace.save(path)
    found = source.trace(brought(client, path.read_bytes())["file"])
    assert found is not None
    assert found.run_told.n_prompt == trace.n_tokens


def test_a_file_is_sent_a_slice_at_a_time(client: FlaskClient, trace: Trace) -> None:
    response = client.get(f"{PATH}/{trace.key}", buffered=False)
    pieces: list[object] = [*response.iter_encoded()]
    assert {type(piece) for piece in pieces} == {bytes}  # gunicorn sends nothing else
    largest = max(part.nbytes for name in TENSORS for part in trace._slices(name))
    assert max(len(piece) for piece in pieces if isinstance(piece, bytes)) <= max(largest, 4096)


@pytest.mark.parametrize("key", ["0" * 64, "..", "a", "A" * 64, "0" * 63])
def test_there_is_no_file_of_what_is_no_trace(client: FlaskClient, source: Source, key: str) -> None:
    assert client.get(f"{PATH}/{key}").status_code in (400, 404)
    assert client.post(f"{PATH}/ask", json={"trace": key, "run": TOLD}).status_code in (200, 400)
    assert "address" not in (client.post(f"{PATH}/ask", json={"trace": key, "run": TOLD}).get_json() or {})


@pytest.mark.parametrize(
    "told",
    [
        None,
        {},
        TOLD | {"n_prompt": 0},
        TOLD | {"n_prompt": 99},
        TOLD | {"stop": "x"},
        TOLD | {"settings": {"seed": -1}},
    ],
)
def test_a_file_tells_nothing_that_no_run_has(client: FlaskClient, trace: Trace, told: object) -> None:
    assert client.post(f"{PATH}/ask", json={"trace": trace.key, "run": told}).status_code == 400
    assert client.get(f"{PATH}/{trace.key}", query_string={"run": json.dumps(told)}).status_code == 400


# What is refused ----------------------------------------------------------------------------------------------------


def flipped(place: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def with_header(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def changed(content: bytes) -> bytes:
        header = header_of(content)
        change(header)
        return put_together(header, content)

    return changed


def with_metadata(**strings: str) -> Callable[[bytes], bytes]:
    return with_header(lambda header: header["__metadata__"].update(strings))


def with_config(**fields: object) -> Callable[[bytes], bytes]:
    def change(header: dict[str, Any]) -> None:
        config = json.loads(header["__metadata__"]["config"]) | fields
        header["__metadata__"]["config"] = json.dumps(config)

    return with_header(change)


def swap_offsets(header: dict[str, Any]) -> None:
    header["q"]["data_offsets"], header["k"]["data_offsets"] = header["k"]["data_offsets"], header["q"]["data_offsets"]


CORRUPT: Final[dict[str, Callable[[bytes], bytes]]] = {
    "empty": lambda _: b"",
    "a few bytes": lambda content: content[:5],
    "header alone": lambda content: content[:4096],
    "truncated": lambda content: content[:-1],
    "half of it": lambda content: content[: len(content) // 2],
    "longer": lambda content: content + b"\0",
    "bit flipped in a tensor": flipped(-100),
    "bit flipped in the checksums": flipped(4100),
    "bit flipped in the header": flipped(200),
    "text": lambda _: b"not a safetensors file at all" * 100,
    "zip": lambda _: b"PK\x03\x04" + b"\0" * 5000,
    "pickle": lambda _: b"\x80\x04\x95" + b"\0" * 5000,
    "huge header": lambda content: struct.pack("<Q", 2**63) + content[8:],
    "header of all": lambda content: struct.pack("<Q", len(content) - 8) + content[8:],
    "no header": lambda content: struct.pack("<Q", 0) + content[8:],
    "deep JSON": lambda content: struct.pack("<Q", 16_000) + b"[" * 16_000 + content,
    "a list for a header": lambda content: put_together([], content),  # type: ignore[arg-type]
    "wrong dtype": with_header(lambda header: header["q"].update(dtype="I32")),
    "half as wide": with_header(lambda header: header["q"].update(dtype="F16")),
    "unknown dtype": with_header(lambda header: header["q"].update(dtype="F33")),
    "overlapping": with_header(lambda header: header["q"].update(data_offsets=header["k"]["data_offsets"])),
    "two tensors in each other's place": with_header(swap_offsets),
    "negative shape": with_header(lambda header: header["q"].update(shape=[-3, -2, 5, 5])),
    "other shape of the same size": with_header(lambda header: header["q"].update(shape=[2, 3, 5, 5])),
    "shape beyond all": with_header(lambda header: header["q"].update(shape=[10**18, 10**18])),
    "shape of floats": with_header(lambda header: header["q"].update(shape=[3.0, 2, 5, 5])),
    "offsets beyond the file": with_header(lambda header: header["q"].update(data_offsets=[0, 10**15])),
    "a tensor less": with_header(lambda header: header.pop("q")),
    "a tensor more": with_header(lambda header: header.update(x={"dtype": "U8", "shape": [0], "data_offsets": [0, 0]})),
    "renamed": with_header(lambda header: header.update(qq=header.pop("q"))),
    "other order": with_header(lambda header: header.update(q=header.pop("q"))),
    "NaN for metadata": with_metadata(config="NaN"),
    "no metadata": with_header(lambda header: header.pop("__metadata__")),
    "metadata that is no text": with_header(lambda header: header["__metadata__"].update(model=7)),
    "metadata of more": with_metadata(surprise="x"),
    "a key of its own": with_metadata(file="0" * 64),
    "long metadata": with_metadata(model="x" * 5000),
    "model with a path": with_metadata(model="../../etc"),
    "model that is invisible": with_metadata(model="a\u202eb"),
    "no fingerprint": with_metadata(fingerprint="x"),
    "other numbers": with_metadata(dtype="float16"),
    "another format": with_metadata(format="0"),
    "a run's": with_metadata(kind="run"),
    "deep config": with_metadata(config="[" * 1900),
    "config of no GPT-2": with_metadata(config="{}"),
    "other layers": with_config(n_layer=4),
    "no layers": with_config(n_layer=0),
    "layers below zero": with_config(n_layer=-1),
    "layers that are a truth": with_config(n_layer=True),
    "layers without end": with_config(n_layer=10**9),
    "vocabulary without end": with_config(d_vocab=10**9),
    "heads that do not fit": with_config(n_head=3),
    "NaN in the config": with_config(layer_norm_epsilon=float("nan")),
    "infinity in the config": with_config(layer_norm_epsilon=float("inf")),
    "too many tokens for its model": with_config(n_ctx=4),
    "other config": with_config(d_mlp=12),
    "a longer prompt than there are tokens": with_metadata(run=json.dumps(TOLD | {"n_prompt": 99})),
    "a run that is no JSON": with_metadata(run="{"),
}


@pytest.mark.parametrize("name", CORRUPT)
def test_what_was_not_written_so_is_refused_in_words(
    client: FlaskClient, source: Source, content: bytes, name: str
) -> None:
    changed = CORRUPT[name](content)
    assert changed != content
    fault = brought(client, changed).get("fault", "")
    assert "was refused: " in fault
    assert fault.startswith("A run is opened from a file that")
    assert leftovers(source) == []
    assert source.store.stats().n_files == 0


def resealed(trace: Trace, **changes: Callable[[np.ndarray], object]) -> bytes:
    """The file of a trace with other values and the checksums that belong to them: what a forger would make."""
    from dashapp.traces.record import new_trace

    tensors = {name: np.array(trace.read(name)) for name in TENSORS}
    for name, change in changes.items():
        change(tensors[name])
    return file_bytes(new_trace(tensors, trace.metadata))


def set_at(place: Any, value: float) -> Callable[[np.ndarray], object]:
    return lambda array: array.__setitem__(place, value)


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("q", (1, 0, 2, 3), np.nan),
        ("resid", (0, 0, 0), np.inf),
        ("mlp_pre", (2, 1, 1), -1e30),
        ("token_ids", 1, 50_257),
        ("token_ids", 0, -1),
        ("top_ids", (1, 1), 10**6),
        ("top_logprobs", (0, 0), 3.0),
        ("logprob", 0, -1.0),
        ("logprob", 2, np.nan),
        ("rank", 0, 5),
        ("rank", 1, -2),
        ("entropy", 1, 50.0),
        ("attn_first", (0, 0, 0), 1.5),
        ("attn_distance", (0, 0, 0), 100.0),
        ("ln_scale", (0, 0), -1.0),
    ],
)
def test_values_that_no_trace_has_are_refused_though_sealed_anew(
    source: Source, trace: Trace, name: str, place: Any, value: float
) -> None:
    client = current_app.test_client()
    fault = brought(client, resealed(trace, **{name: set_at(place, value)})).get("fault", "")
    assert name in fault
    assert leftovers(source) == []


def test_weights_that_are_here_with_another_configuration_are_refused(
    client: FlaskClient, source: Source, trace: Trace
) -> None:
    from dashapp.traces.record import new_trace

    config = json.loads(trace.metadata["config"]) | {"scale_attn_weights": False}
    tensors = {name: np.array(trace.read(name)) for name in TENSORS}
    other = new_trace(tensors, {**trace.metadata, "config": json.dumps(config)})
    assert "another configuration than theirs" in brought(client, file_bytes(other))["fault"]
    assert leftovers(source) == []


class Breaking(io.BytesIO):
    """A sender who goes away in the middle."""

    def readinto(self, buffer: Any) -> int:
        n_bytes = super().readinto(buffer)
        if not n_bytes:
            raise ConnectionResetError
        return n_bytes


def streamed(client: FlaskClient, stream: io.BytesIO, size_bytes: int) -> dict[str, Any]:
    """What comes of a file that is sent from a stream, of as many bytes as are announced."""
    environ = {"wsgi.input": stream, "CONTENT_LENGTH": str(size_bytes), "wsgi.input_terminated": True}  # as gunicorn's
    response = client.post(PATH, content_type=run_file.BYTES, environ_overrides=environ)
    assert response.status_code == 200
    found: dict[str, Any] = response.get_json()
    return found


@pytest.mark.parametrize("sender", [Breaking, io.BytesIO], ids=["reset", "ended"])
@pytest.mark.parametrize("n_bytes", [0, 3, 5000, 20_000])
def test_an_upload_that_breaks_off_leaves_nothing(
    client: FlaskClient, source: Source, content: bytes, n_bytes: int, sender: type[io.BytesIO]
) -> None:
    assert "nothing of it was kept" in streamed(client, sender(content[:n_bytes]), len(content))["fault"]
    assert leftovers(source) == []


@pytest.mark.parametrize(
    "options",
    [{"content_type": "text/plain"}, {"content_type": "application/json"}, {"content_type": "multipart/form-data"}],
)
def test_a_form_of_another_site_can_bring_nothing(
    client: FlaskClient, source: Source, content: bytes, options: dict[str, str]
) -> None:
    assert client.post(PATH, data=content, **options).status_code == 400
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert client.post(PATH, data=content, content_type=run_file.BYTES, headers=headers).status_code == 400
    assert source.store.stats().n_files == 0


def test_limits_of_size_disk_and_number_are_said(
    app: Dash, client: FlaskClient, source: Source, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.server.test_request_context(PATH, method="POST", data=content, content_type=run_file.BYTES):
        with pytest.raises(DashappError, match=r"files of runs up to 0\.0 MB"):
            run_file.taken_in(1000)
        with pytest.raises(DashappError, match="opens none"):
            run_file.taken_in(0)
    assert "1,000,000 MB" in streamed(client, io.BytesIO(), 10**12)["fault"]
    usage = shutil.disk_usage(source.store.folder)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert "are free" in brought(client, content)["fault"]
    assert leftovers(source) == []


def test_only_so_many_files_are_taken_in_at_a_time(
    app: Dash, client: FlaskClient, source: Source, content: bytes
) -> None:
    told: list[dict[str, Any]] = []

    class Nested(io.BytesIO):
        """While this file is read, another one comes."""

        def __init__(self, depth: int) -> None:
            super().__init__(content)
            self.depth = depth

        def readinto(self, buffer: Any) -> int:
            if self.depth:
                depth, self.depth = self.depth, 0
                told.append(streamed(app.server.test_client(), Nested(depth - 1), len(content)))
            return super().readinto(buffer)

    assert "file" in streamed(client, Nested(run_file.N_AT_ONCE), len(content))
    assert ["fault" in each for each in told] == [True, *[False] * (run_file.N_AT_ONCE - 1)]
    assert "file" in brought(client, content)


@pytest.fixture
def forged_and_own(
    client: FlaskClient, trace: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Trace, Trace]:
    """A run whose file holds what no weights computed, downloaded again into the folder we are in; and one of ours."""
    key = brought(client, resealed(trace, resid=set_at((..., 0), 0.25), q=set_at((..., 0), 1.5)))["file"]
    file, own = Source.here().trace(key), Source.here().trace(trace.key)
    assert file is not None
    assert own is not None
    monkeypatch.chdir(tmp_path)
    offer = client.post(f"{PATH}/ask", json={"trace": key, "run": file.run_told.as_json()}).get_json()
    Path(offer["name"]).write_bytes(client.get(offer["address"], query_string={"run": offer["run"]}).data)
    return file, own


@pytest.mark.parametrize("name", ["head-pattern", "logit-lens", "lens-map", "changed-heads", "ablation"])
def test_python_of_a_figure_of_a_file_computes_its_numbers_from_the_file(
    name: str,
    forged_and_own: tuple[Trace, Trace],
    own_model: GPT2,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where weights are needed, a job is, or another prompt; and what the weights would say is something else."""
    panel, (file, own) = (PANELS | PAIR_PANELS)[name], forged_and_own
    chosen = {"pos": 3, "key_pos": 1, "n_prompt": 4}
    table, python = taken(panel, view_of(panel, (file, own), chosen), (file, own), own_model)
    if panel.pairs:
        assert table.values.any()  # of the same tokens
    else:
        honest, _python = taken(panel, view_of(panel, (own, file), chosen), (own, file), own_model)
        assert not np.array_equal(table.values, honest.values, equal_nan=True)
    anew, figure = computed(python, settings, monkeypatch)
    assert dict(anew.axes) == dict(table.axes)
    np.testing.assert_array_equal(anew.values, table.values)
    assert figure is not None
    assert figure.layout.meta["summary"]


# Nobody else's answer -----------------------------------------------------------------------------------------------


def forged(trace: Trace) -> bytes:
    """A file that claims the key of a trace and holds other activations, within what a trace can have."""
    return resealed(trace, k=set_at(..., 9.0), v=set_at(..., 9.0), resid=set_at(..., 1.0))


def test_a_file_that_claims_a_prompt_s_key_is_not_what_others_get_for_that_prompt(
    app: Dash, client: FlaskClient, source: Source, trace: Trace
) -> None:
    honest = file_bytes(trace)
    found = brought(client, forged(trace))
    liar = source.trace(found["file"])
    assert liar is not None
    assert liar.key == found["file"] != trace.key
    assert source.store.get_trace(found["file"]) is None
    kept = source.store.get_trace(trace.key)
    assert kept is not None
    assert file_bytes(kept) == honest
    source.store.discard(trace.key)  # evicted: the next one computes it
    assert source.trace(trace.key) is None
    assert source.store.get_file(trace.key) is None
    assert source.trace(found["file"]) is not None


def test_keys_and_values_of_a_file_never_go_into_a_text(
    client: FlaskClient, source: Source, trace: Trace, own_model: GPT2
) -> None:
    """A run is kept for everybody who asks for its prompt: a forged ancestor must not be what it goes on from."""
    found = brought(client, forged(trace))
    data = EXAMPLE.as_json() | {"model": trace.model_name, "prompt": "a b c d", "max_new_tokens": 3, "temperature": 0}
    honest = run_prompt(Unwatched(), PromptRequest.parse(data), model=own_model, store=source.store)
    source.store.clear()
    brought(client, forged(trace))
    branch = PromptRequest.parse(data | {"ancestor": found["file"]})
    told = run_prompt(Unwatched(), branch, model=own_model, store=source.store)
    assert told["tokens"] == honest["tokens"]
    kept = source.store.get_trace(told["trace"])
    assert kept is not None
    assert np.allclose(kept.read("k")[:, :, : trace.n_tokens], trace.k, atol=1e-4)


def test_what_is_computed_of_a_file_is_kept_under_the_file_s_key(trace: Trace, client: FlaskClient) -> None:
    found = brought(client, forged(trace))
    kinds = [("lens", {"scale": "x", "target": None}), ("paths", {}), ("file", {})]
    for kind, arguments in kinds:
        ours = Work(kind=kind, trace=trace.key, arguments=arguments).key
        assert Work(kind=kind, trace=found["file"], arguments=arguments).key != ours


def test_a_link_to_a_file_that_is_not_here_says_what_to_do(app: Dash, source: Source) -> None:
    answer = answered(app, {"id": "0" * 32, "file": "a" * 64, "prompt": "x", "model": "tiny"})
    assert (answer["kind"], answer["error"]) == ("refused", "RunFileGone")
    assert "Open it from the file again" in answer["remedy"]
    for file in ("..", "A" * 64, 7, ["a"], "a" * 63):
        with pytest.raises(ValueError, match="64 hexadecimal digits"):
            answered(app, {"id": "0" * 32, "file": file})


def test_files_push_out_each_other_and_no_traces(source: Source, client: FlaskClient, trace: Trace) -> None:
    store = source.store
    limit_bytes = store.address.size_limit_bytes
    assert limit_bytes is not None
    brought(client, file_bytes(trace))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "size_limit_bytes", 4 * (2 * len(file_bytes(trace)) + 100))
        for value in range(4):
            brought(client, resealed(trace, resid=set_at((0, 0, 0), value)))
        assert store.stats().n_files == 2
    assert store.get_trace(trace.key) is not None


def test_a_file_that_was_damaged_on_the_disk_is_gone_and_says_so(
    app: Dash, client: FlaskClient, source: Source, content: bytes
) -> None:
    key = brought(client, content)["file"]
    (path,) = leftovers(source)
    whole = path.read_bytes()
    path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    damaged = source.trace(key)
    assert damaged is not None
    with pytest.raises(DashappError):
        damaged.verify()
    assert answered(app, {"id": "0" * 32, "file": key})["error"] == "RunFileGone"


# The check ----------------------------------------------------------------------------------------------------------


def test_the_check_tells_an_honest_file_from_a_forged_one(
    client: FlaskClient, source: Source, trace: Trace, content: bytes
) -> None:
    honest = brought(client, content)["file"]
    look = {"file": honest, "do": "look"}
    assert client.post(f"{PATH}/check", json=look).get_json()["phase"] == "unchecked"
    liar = brought(client, resealed(trace, q=lambda q: np.add(q, 0.01, out=q)))["file"]
    for key, is_same in {honest: True, liar: False}.items():
        found = source.trace(key)
        assert found is not None
        arrays = check_among(found, lambda share: None, models=source.models)
        source.store.put_result(Work(kind="file", trace=key, arguments={}).key, arrays)
        told = client.post(f"{PATH}/check", json={"file": key, "do": "look"}).get_json()
        assert (told["phase"], told["is_same"]) == ("done", is_same)
        assert "ran the tokens of the file again in float32" in told["details"]
        assert ("it is what" if is_same else "it is not what") in told["says"]


def test_a_file_of_weights_that_are_not_here_says_so(client: FlaskClient, source: Source, trace: Trace) -> None:
    from dashapp.traces.record import new_trace

    tensors = {name: np.array(trace.read(name)) for name in TENSORS}
    strange = new_trace(tensors, {**trace.metadata, "fingerprint": "0" * 64, "model": "nobody's"})
    key = brought(client, file_bytes(strange))["file"]
    told = client.post(f"{PATH}/check", json={"file": key, "do": "look"}).get_json()
    assert told["phase"] == "absent"
    assert "cannot be checked" in told["says"]
    asked = {"file": "b" * 64, "do": "look"}
    assert "does not have the file" in client.post(f"{PATH}/check", json=asked).get_json()["fault"]


def test_metrics_tell_what_files_came_to(app: Dash, client: FlaskClient, content: bytes) -> None:
    brought(client, content)
    brought(client, b"x" * 100)
    text = client.get("/metrics").text
    assert 'dashapp_files_brought_total{came_to="kept"}' in text
    assert 'dashapp_files_brought_total{came_to="NotARunFile"}' in text
    assert "dashapp_store_files 1.0" in text
    assert METRICS in app.server.extensions


# Anything at all ----------------------------------------------------------------------------------------------------

FAST: Final = settings(
    max_examples=300,
    deadline=timedelta(seconds=20),  # a hang, not slowness, on a busy machine too
    derandomize=True,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
SLOW: Final = settings(FAST, max_examples=10_000, derandomize=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**20) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=6,
)


def anything_like(content: bytes, data: st.DataObject) -> bytes:
    """A file with some bytes changed, cut, doubled, or a part of its header replaced; or no file at all."""
    match data.draw(st.sampled_from(["bytes", "flip", "cut", "double", "entry", "metadata", "config"])):
        case "bytes":
            return data.draw(st.binary(max_size=300))
        case "flip":
            place, byte = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 255))
            return content[:place] + bytes([byte]) + content[place + 1 :]
        case "cut":
            start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(content))] * 2)))
            return content[:start] + content[stop:]
        case "double":
            place = data.draw(st.integers(0, len(content)))
            return content[:place] + content
        case kind:
            return with_header(lambda header: replace_in(header, kind, data))(content)


def replace_in(header: dict[str, Any], kind: str, data: st.DataObject) -> None:
    if kind == "entry":
        name = data.draw(st.sampled_from(sorted(header)))
        field = data.draw(st.sampled_from(["dtype", "shape", "data_offsets", ""]))
        header[name] = header[name] | {field: data.draw(JSON)} if field else data.draw(JSON)
    elif kind == "metadata":
        name = data.draw(st.sampled_from(sorted(header["__metadata__"])) | st.text(max_size=5))
        header["__metadata__"][name] = data.draw(st.text(max_size=20) | JSON)
    else:
        config = json.loads(header["__metadata__"]["config"])
        name = data.draw(st.sampled_from(sorted(config)) | st.text(max_size=5))
        header["__metadata__"]["config"] = json.dumps({**config, name: data.draw(JSON)})


def bring_anything(client: FlaskClient, source: Source, content: bytes, data: st.DataObject) -> None:
    changed = anything_like(content, data)
    found = brought(client, changed)
    if "file" in found:  # what differs from the file in nothing that is believed
        assert source.trace(found["file"]) is not None
        source.store.discard(found["file"])
    else:
        assert found["fault"].count(". ") >= 2
    assert leftovers(source) == []


@FAST
@given(data=st.data())
def test_no_file_makes_the_server_fail(
    client: FlaskClient, source: Source, content: bytes, data: st.DataObject
) -> None:
    bring_anything(client, source, content, data)


@pytest.mark.slow
@SLOW
@given(data=st.data())
def test_none_of_ten_thousand_files_does(
    client: FlaskClient, source: Source, content: bytes, data: st.DataObject
) -> None:
    bring_anything(client, source, content, data)
