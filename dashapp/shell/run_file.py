"""The routes by which a whole run leaves the app as a file, comes back by one, and is checked.

No callbacks: a file has hundreds of megabytes, which neither this process nor a browser should hold. One that comes is
written to a file without a name, which the system removes whatever happens, checked there (`traces.brought`), and kept
under a hash of its bytes, apart from what was computed here. So it can be looked at by who has the key, and is nobody
else's answer.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any, Final

from flask import Flask, Response, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import ClientDisconnected

from dashapp.analysis.same_trace import SameTrace
from dashapp.door.refusals import refused
from dashapp.door.visitors import visitor
from dashapp.errors import (
    DashappError,
    NotAQuestion,
    NotARunFile,
    RunFileBroken,
    RunFileGone,
    RunFileOff,
    RunFileTooLarge,
    StoreUnavailable,
    TooManyRunFiles,
    TraceGone,
    in_megabytes,
)
from dashapp.jobs.works import WORKS, Work
from dashapp.model.sampling import SamplingSettings
from dashapp.model.tokenizer import END_OF_TEXT_ID, decode
from dashapp.panels.awaiting import order_of
from dashapp.panels.run_files import absent, compared, file_name, unchecked, verdict
from dashapp.panels.source import Source
from dashapp.shell.takeaway import as_file
from dashapp.store.folders import claim_folder
from dashapp.traces.brought import beginning, header_length, trace_brought
from dashapp.traces.keys import is_key
from dashapp.traces.metadata import RunTold, new_file_hash, to_take_away
from dashapp.traces.record import Trace

logger = logging.getLogger(__name__)

PATH: Final = "/run-file"
BYTES: Final = "application/octet-stream"  # no form of another site can send it: a browser would ask us first
N_AT_ONCE: Final = 2  # files that are taken in; each holds one of the server's threads
STALL_S: Final = 30  # without a byte
LONGEST_S: Final = 900
PIECE_BYTES: Final = 1 << 16
SENT_BYTES: Final = 1 << 20
SPARE_BYTES: Final = 50 * 10**6  # of the disk, that is left to others


def add_routes(server: Flask, largest_bytes: int, count: Callable[[str], None]) -> None:
    """Let browsers take runs away, bring them and have them checked. count: told what each file came to."""
    _add_leaving(server)
    _add_coming(server, largest_bytes, count)

    @server.post(f"{PATH}/check")
    def check_file() -> ResponseReturnValue:
        try:
            return _said(lambda: checked(request.get_json(silent=True)))
        except ValueError as error:  # no page of ours asks it
            logger.warning("Checked no file: %s", error)
            return {}, 400


def _add_leaving(server: Flask) -> None:
    @server.post(f"{PATH}/ask")
    def ask_for_file() -> ResponseReturnValue:
        try:
            return _said(lambda: offered(request.get_json(silent=True)))
        except ValueError as error:  # no page of ours asks it
            logger.warning("Gave no file away: %s", error)
            return {}, 400

    @server.get(f"{PATH}/<key>")
    def take_file(key: str) -> ResponseReturnValue:
        try:
            return given(key, request.args.get("run"))
        except ValueError:
            return refused(NotAQuestion(), 400)
        except DashappError as error:
            return refused(error, 404)


def _add_coming(server: Flask, largest_bytes: int, count: Callable[[str], None]) -> None:
    places = threading.BoundedSemaphore(N_AT_ONCE)

    @server.post(PATH)
    def bring_file() -> ResponseReturnValue:
        if request.mimetype != BYTES or request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return refused(NotAQuestion(), 400)
        if not places.acquire(blocking=False):
            count(TooManyRunFiles.__name__)
            return {"fault": str(TooManyRunFiles(N_AT_ONCE))}
        try:
            return _said(lambda: taken_in(largest_bytes), count)
        finally:
            places.release()


def _said(answer: Callable[[], dict[str, Any]], count: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """An answer, or as "fault" what stands in the way: a browser would write any other status to its console."""
    try:
        found = answer()
        count("kept")
    except DashappError as error:
        count(type(error).__name__)
        return {"fault": str(error)}
    return found


# A run leaves -------------------------------------------------------------------------------------------------------


def offered(asked: object) -> dict[str, Any]:
    """Where the file of a run is to be had, once every slice of it has been verified: {address, name}.

    asked: {trace: its key, run: what `RunTold` takes}. Raises: ValueError; TraceGone, DamagedTrace.
    """
    match asked:
        case {"trace": str(key), "run": told}:
            trace = _trace_of(key)
        case _:
            raise ValueError("a trace's key, and what its file should tell of the run")
    run = RunTold.parse(told, n_tokens=trace.n_tokens)
    trace.verify()
    return {"address": f"{PATH}/{key}", "run": json.dumps(run.as_json()), "name": file_name(trace, run)}


def given(key: str, told: str | None) -> Response:
    """The file of a run, a slice in memory at a time. Raises: as `offered`."""
    trace = _trace_of(key)
    run = RunTold.parse(json.loads(told), n_tokens=trace.n_tokens) if told else RunTold(n_prompt=trace.n_tokens)
    metadata = to_take_away(trace.metadata, run)
    response = as_file(Response(_in_bytes(trace.chunks(metadata)), mimetype=BYTES), file_name(trace, run))
    response.content_length = trace.size_with(metadata)
    return response


def _in_bytes(chunks: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The same as bytes, which alone servers send, some at a time."""
    for chunk in chunks:
        view = memoryview(chunk)
        yield from (bytes(view[start : start + SENT_BYTES]) for start in range(0, len(view), SENT_BYTES))


def _trace_of(key: str) -> Trace:
    if not is_key(key):
        raise ValueError("a key is 64 hexadecimal digits")
    trace = Source.here().trace(key)
    if trace is None:
        raise TraceGone
    return trace


# A run comes --------------------------------------------------------------------------------------------------------


def taken_in(largest_bytes: int) -> dict[str, Any]:
    """The file in this request, checked and kept: {file: its key, request: to be asked for it}. Raises: StoreError."""
    size_bytes, store = request.content_length, Source.here().store
    if not largest_bytes:
        raise RunFileOff
    if not size_bytes:
        raise NotARunFile("it is empty, or came without its length")
    if size_bytes > largest_bytes:
        raise RunFileTooLarge(size_bytes, largest_bytes)
    request.max_content_length = size_bytes
    with _room_for(size_bytes) as file, _patience():
        key = _received(file, size_bytes)
        trace = trace_brought(file.fileno())
        _refuse_other_shape(trace)
        if store.get_file(key) is None:
            store.put_file(trace, key)
        return {"file": key, "request": request_for(trace, key)}


def request_for(trace: Trace, key: str) -> dict[str, Any]:
    """What a form would hold for a run from a file, with the file's key: as in `jobs.request`, but for the id."""
    told = trace.run_told
    ids = trace.token_ids[: told.n_prompt].tolist()
    has_bos = ids[0] == END_OF_TEXT_ID
    settings = told.settings or SamplingSettings(max_new_tokens=0)
    return {
        "file": key,
        "prompt": decode(ids[1:] if has_bos else ids),
        "bos": has_bos,
        "model": trace.model_name,
        **settings.as_dict(),
    }


def disk_for(size_bytes: int) -> int:
    """How much of the disk must be free to take in a file: bytes, for it, for the copy that is kept, and to spare."""
    return 2 * size_bytes + SPARE_BYTES


@contextmanager
def _room_for(size_bytes: int) -> Iterator[IO[bytes]]:
    """A file without a name, where there is room for it, see `disk_for`. Raises: StoreUnavailable."""
    folder = Source.here().store.folder
    try:
        claim_folder(folder)
        free_bytes, needed_bytes = shutil.disk_usage(folder).free, disk_for(size_bytes)
        if free_bytes < needed_bytes:
            cause = f"to open this file takes {in_megabytes(needed_bytes)}, and {in_megabytes(free_bytes)} are free"
            raise StoreUnavailable(folder, cause)
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed below, with errors of its own
    except OSError as error:
        raise StoreUnavailable(folder, error.strerror or error) from error
    with file:
        yield file


@contextmanager
def _patience() -> Iterator[None]:
    """Do not wait for ever for who stops sending: the server itself would."""
    socket = request.environ.get("gunicorn.socket")
    if socket is None:
        yield
        return
    before = socket.gettimeout()
    socket.settimeout(STALL_S)
    try:
        yield
    finally:
        socket.settimeout(before)


def _received(file: IO[bytes], size_bytes: int) -> str:
    """The key of what was sent, which lies in the file; its beginning is checked before the rest is looked at."""
    found, n_bytes, end = new_file_hash(), 0, time.monotonic() + LONGEST_S
    first: bytes | None = b""
    while n_bytes < size_bytes:
        piece = _next_piece(size_bytes, n_bytes)
        if not piece or time.monotonic() > end:
            raise RunFileBroken(n_bytes, size_bytes)
        n_bytes += len(piece)
        if first is not None:
            first += piece
            first = _looked_at(first, size_bytes, is_all=n_bytes == size_bytes)
        found.update(piece)
        try:
            file.write(piece)
        except OSError as error:
            raise StoreUnavailable(Source.here().store.folder, error.strerror or error) from error
    file.flush()
    return str(found.hexdigest())


def _next_piece(size_bytes: int, n_bytes: int) -> bytes:
    try:
        return request.stream.read(PIECE_BYTES)
    except (ClientDisconnected, OSError) as error:
        raise RunFileBroken(n_bytes, size_bytes) from error


def _looked_at(first: bytes, size_bytes: int, *, is_all: bool) -> bytes | None:
    """What has come so far, as long as the header has not; None once it has been found right. Raises: NotARunFile."""
    if len(first) < 8 and not is_all:
        return first
    length = header_length(first, size_bytes)
    if len(first) < length:
        return first
    beginning(first[:length], size_bytes)
    return None


def _refuse_other_shape(trace: Trace) -> None:
    """Refuse what says that weights which are here have another shape than they have. Raises: NotARunFile."""
    weights = Source.here().models.of(trace.fingerprint, name=trace.model_name)
    if weights is not None and not trace.fits(weights.config):
        raise NotARunFile("it names weights that are here, and another configuration than theirs")


# It is checked ------------------------------------------------------------------------------------------------------


def checked(asked: object) -> dict[str, Any]:
    """How the check of a file fares: {says, phase, …}, phase: absent | unchecked | queued | running | done | failed.

    asked: {file: its key, do: "look", or as a panel asks for a work}. Raises: ValueError; RunFileGone.
    """
    match asked:
        case {"file": str(key), "do": str(wish)} if is_key(key):
            trace = Source.here().store.get_file(key)
        case _:
            raise ValueError("a file is named by its key, and what is wanted of it")
    if trace is None:
        raise RunFileGone(key)
    work, result = Work(kind="file", trace=key, arguments={}), None
    weights = Source.here().weights_of(trace)
    if weights is None:
        return {"phase": "absent", "says": absent(trace)}
    if wish == "look":
        result = Source.here().store.get_result(work.key)
        if result is None:
            return {"phase": "unchecked", "says": unchecked(weights)}
    else:
        do, asker = order_of(asked)
        desk = current_app.extensions[WORKS]
        state = {"ask": desk.ask, "cancel": desk.cancel, "retry": desk.retry}[do](work, asker, visitor())
        if state.phase != "done":
            failure = f"{state.rule} {state.instance} {state.remedy}".strip()
            return {"phase": state.phase, "says": failure, "share": state.share, "place": state.place}
        result = Source.here().store.get_result(work.key)
    if result is None:  # cleared this very moment
        return {"phase": "unchecked", "says": unchecked(weights)}
    found = SameTrace.from_arrays(result)
    details = {"details": compared(found, weights), "is_same": found.is_same}
    return {"phase": "done", "says": verdict(found, weights), **details}
