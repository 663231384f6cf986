"""Analysis jobs that panels ask for: what they are, and the desk in the web process that has them done. Torch-free.

A panel draws what it can, asks here for what takes long, and asks again until it is there. However many ask, a work is
computed once; when nobody has asked for a while, it is given up. Knows keys, places and states; how work is done is the
business of a `Bench` (`jobs.manager` here; other machines could be another).
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from dashapp.analysis.alignment import Pins
from dashapp.errors import JobLost, JobStopped, JobTimedOut, StoreUnavailable, TraceGone
from dashapp.jobs.outcome import failure
from dashapp.store.contract import Store, StoreAddress, find_trace
from dashapp.store.opened import open_store

if TYPE_CHECKING:
    import numpy as np

WORKS: Final = "dashapp.works"  # where an app keeps its `Works`, among Flask's extensions

PATIENCE_S: Final = 20.0  # who has not asked for so long has closed the page
GRACE_S: Final = 2.0  # between the end of a process and what it left
STOP_S: Final = 10.0  # a work that was asked to stop and has not is ended with its process
MEMORY_S: Final = 3600.0  # a failure is told for so long, and not tried again unless somebody wants it
TICK_S: Final = 1.0
PART_S: Final = 1.0  # between two parts of a result that people see come

Asker = tuple[str, str]  # a visitor, and whatever tells one panel of one open page from another
Phase = Literal["queued", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of work. title: as people know it.

    function: "module:name", called in a job's process with the trace, a function to be told a share of the whole (it
    raises when nobody wants the work any more), and the arguments as keywords; returns arrays by name. The function it
    is to tell is a `Progress`, which shows parts of the result too.
    version: raise it when the same arguments give other arrays.
    home: "module:name" of what a process does before the first work of this kind, if one process is kept for all of
    them; None for a process each, with the model at hand in `jobs.warm`.
    patience: how many times as long as any other job it may take, for what is done once for many.
    """

    title: str
    function: str
    version: int
    home: str | None = None
    patience: int = 1


KINDS: Final[dict[str, Kind]] = {
    "umap": Kind(
        title="UMAP",
        function="dashapp.analysis.projection:umap_of_trace",
        version=1,
        home="dashapp.analysis.projection:prepare",
    ),
    "vocabulary": Kind(
        title="UMAP of the vocabulary",
        function="dashapp.analysis.projection:umap_of_vocabulary",
        version=1,
        home="dashapp.analysis.projection:prepare",
        patience=6,
    ),
    "lens": Kind(title="Logit lens", function="dashapp.jobs.lens_map:lens_of_trace", version=1),
    "lens-change": Kind(
        title="Logit lens of both prompts", function="dashapp.jobs.lens_map:lens_change_of_traces", version=1
    ),
    "paths": Kind(title="Paths through the layers", function="dashapp.jobs.paths:paths_of_trace", version=1),
    "beams": Kind(title="Beam search", function="dashapp.jobs.beams:beams_of_trace", version=1),
    "parity": Kind(title="Comparison with Hugging Face", function="dashapp.jobs.parity:parity_of_trace", version=1),
    "checks": Kind(title="The checks", function="dashapp.jobs.checks:check_trace", version=1, patience=4),
    "rollout": Kind(title="Attention rollout", function="dashapp.jobs.mixing:rollout_of_trace", version=1),
    "flow": Kind(title="Attention flow", function="dashapp.jobs.mixing:flow_of_token", version=1),
    "heads": Kind(title="Probe of all heads", function="dashapp.jobs.heads:probe_of_weights", version=1),
    "patching": Kind(title="Patching", function="dashapp.jobs.patching:patch_trace", version=2),
    "file": Kind(title="The check of a file", function="dashapp.jobs.file_check:check_of_file", version=1),
    "estimate": Kind(title="Attribution patching", function="dashapp.jobs.patching:estimate_trace", version=1),
    "ablation": Kind(title="Ablation", function="dashapp.jobs.patching:ablate_trace", version=2),
    "cell": Kind(title="One patch", function="dashapp.jobs.patching:patch_cell_of_trace", version=2),
}

HOMES: Final = tuple(dict.fromkeys(kind.home for kind in KINDS.values() if kind.home is not None))


@dataclass(frozen=True, kw_only=True)
class Work:
    """Something to compute from a trace. kind: of `KINDS`. trace: its key. arguments: JSON, whatever the kind takes.

    weights: the fingerprint of the trace's weights, where the result is theirs and the same for all of their traces.
    """

    kind: str
    trace: str
    arguments: Mapping[str, Any]
    weights: str | None = None

    @cached_property
    def key(self) -> str:
        """What its result is kept under: 64 hexadecimal digits."""
        of = {"trace": self.trace} if self.weights is None else {"weights": self.weights}
        said = {"work": self.kind, "version": KINDS[self.kind].version, **of}
        text = json.dumps({**said, "arguments": self.arguments}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def part_key(self) -> str:
        """What the part of its result that is there so far is kept under."""
        return part_key(self.key)

    def order(self, store: Store) -> dict[str, Any]:
        """What a job's process is told, as JSON; `id` as in a request for a run."""
        return {
            "id": self.key,
            "kind": self.kind,
            "function": KINDS[self.kind].function,
            "patience": KINDS[self.kind].patience,
            "trace": self.trace,
            "arguments": dict(self.arguments),
            "store": store.address.as_json(),
        }


def part_key(key: str) -> str:
    """What part of the result of a work is kept under while it is computed: 64 hexadecimal digits."""
    return hashlib.sha256(f"part of {key}".encode()).hexdigest()


def pins_told(pins: Pins) -> dict[str, str]:
    """Edits of an alignment among a work's arguments: nothing where there are none, for most have none."""
    return {"pins": str(pins)} if pins else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkState:
    """How a work fares. place: in the queue, from 1. doing, share: of one that runs. The rest: of one that failed.

    part: how many times one that runs has shown what it has so far.
    """

    phase: Phase
    place: int = 0
    doing: str = ""
    share: float = 0.0
    part: int = 0
    rule: str = ""
    instance: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a bench knows of a work. told: the latest state, or None. outcome: what it left at its end, or None."""

    told: Mapping[str, Any] | None
    outcome: Mapping[str, Any] | None
    is_alive: bool


class Bench(Protocol):
    """Where work is done."""

    def has_room(self, home: str | None) -> bool:
        """Whether a work of this home may begin now: nobody who waits for text may have to wait for it."""

    def begin_work(self, order: Mapping[str, Any], home: str | None) -> None:
        """Begin what `Work.order` says."""

    def see(self, key: str) -> Seen: ...

    def ask_to_stop(self, request_id: str) -> None: ...

    def end_work(self, key: str) -> None:
        """Kill what does this work, unless it ended, and forget what it told."""

    def forget_work(self, key: str) -> None:
        """Forget what a work told, which has left its outcome and ends by itself."""


@dataclass(slots=True)
class _Entry:
    """A work that somebody wants."""

    work: Work
    state: WorkState
    askers: dict[Asker, float] = field(default_factory=dict)  # who → when last
    since: float = 0.0  # when it was last seen alive, or failed
    stopping_since: float | None = None  # nobody wanted it any more

    @property
    def visitors(self) -> set[str]:
        return {visitor for visitor, _ in self.askers}


class Works:
    """The desk. One to a web process; safe to be asked by several threads. clock: seconds that only go forward."""

    def __init__(self, bench: Bench, store: Store, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._bench, self._store, self._clock = bench, store, clock
        self._entries: dict[str, _Entry] = {}  # by key, in the order of first asking
        self._lock = threading.Lock()
        self._watch: threading.Thread | None = None

    def ask(self, work: Work, asker: str, visitor: str = "") -> WorkState:
        """How a work fares that this asker wants; it is begun when its turn has come.

        asker: whatever tells one panel of one open page from another. It wants one work at a time: to ask for another
        is to want the one before no more. visitor: whose page it is, for turns are fair by visitor as in `admission`.
        """
        who = visitor, asker
        if self._store.get_result(work.key) is not None:
            self._forget(work.key, who)
            return WorkState(phase="done")
        with self._lock:
            now = self._clock()
            for key, other in self._entries.items():
                if key != work.key:
                    other.askers.pop(who, None)
            entry = self._entries.setdefault(work.key, _Entry(work, WorkState(phase="queued"), since=now))
            entry.askers[who] = now
            self._advance(now)
            self._keep_watch()
            return self._told(entry)

    def cancel(self, work: Work, asker: str, visitor: str = "") -> WorkState:
        """This asker wants it no more; it goes on if another does."""
        self._forget(work.key, (visitor, asker))
        return WorkState(phase="cancelled")

    def retry(self, work: Work, asker: str, visitor: str = "") -> WorkState:
        """Try again what failed."""
        with self._lock:
            entry = self._entries.get(work.key)
            if entry is not None and entry.state.phase == "failed":
                del self._entries[work.key]
        return self.ask(work, asker, visitor)

    def n_in(self, phase: Phase) -> int:
        """How many works are in this phase."""
        with self._lock:
            return sum(entry.state.phase == phase for entry in self._entries.values())

    # Below: with the lock held ----------------------------------------------------------------------------------------

    def _told(self, entry: _Entry) -> WorkState:
        if entry.state.phase != "queued":
            return entry.state
        return WorkState(phase="queued", place=self._turns().index(entry) + 1)

    def _turns(self) -> list[_Entry]:
        """Those that wait, the next first: whose visitor has fewest before it, then who came first."""
        n_before: Counter[str] = Counter()
        for entry in self._entries.values():
            n_before.update(entry.visitors if entry.state.phase == "running" else ())
        turns = []
        for entry in self._entries.values():
            if entry.state.phase == "queued":
                turns.append((min((n_before[visitor] for visitor in entry.visitors), default=0), entry))
                n_before.update(entry.visitors)
        return [entry for _, entry in sorted(turns, key=lambda turn: turn[0])]

    def _advance(self, now: float) -> None:
        for entry in list(self._entries.values()):
            entry.askers = {who: asked for who, asked in entry.askers.items() if now - asked < PATIENCE_S}
            if entry.state.phase == "running":
                self._look_at(entry, now)
            elif not self._is_wanted(entry, now):
                del self._entries[entry.work.key]
        for entry in self._turns():
            home = KINDS[entry.work.kind].home
            if self._bench.has_room(home):
                self._bench.begin_work(entry.work.order(self._store), home)
                entry.state, entry.since, entry.stopping_since = WorkState(phase="running"), now, None

    def _is_wanted(self, entry: _Entry, now: float) -> bool:
        return bool(entry.askers) or (entry.state.phase == "failed" and now - entry.since < MEMORY_S)

    def _look_at(self, entry: _Entry, now: float) -> None:
        seen = self._bench.see(entry.work.key)
        if seen.outcome is not None or (not seen.is_alive and now - entry.since > GRACE_S):
            # One whose time was over leaves this before it ends: a process that stays would still take a task.
            is_late = seen.outcome is not None and seen.outcome.get("error") == JobTimedOut.__name__
            (self._bench.end_work if is_late else self._bench.forget_work)(entry.work.key)
            self._ended(entry, seen.outcome, now)
            return
        if seen.is_alive:
            entry.since = now
        told = seen.told or {}
        if seen.told is not None or entry.state.doing == "":
            doing, share = str(told.get("doing", "starting")), float(told.get("share", 0.0))
            entry.state = WorkState(phase="running", doing=doing, share=share, part=int(told.get("part", 0)))
        if not entry.askers:
            self._stop(entry, now)

    def _stop(self, entry: _Entry, now: float) -> None:
        if entry.stopping_since is None:
            entry.stopping_since = now
            self._bench.ask_to_stop(entry.work.key)
        elif now - entry.stopping_since > STOP_S:
            self._bench.end_work(entry.work.key)
            del self._entries[entry.work.key]

    def _ended(self, entry: _Entry, outcome: Mapping[str, Any] | None, now: float) -> None:
        was_stopped = entry.stopping_since is not None
        if outcome is not None and outcome["status"] == "done":
            entry.state = WorkState(phase="done")
            del self._entries[entry.work.key]  # whoever asks from now on finds it in the store
        elif was_stopped and entry.askers:  # somebody wants it after all
            entry.state, entry.since, entry.stopping_since = WorkState(phase="queued"), now, None
        elif was_stopped:
            del self._entries[entry.work.key]
        else:
            told = outcome or failure(entry.work.key, JobLost())
            rule, instance, remedy = (str(told[name]) for name in ("rule", "instance", "remedy"))
            entry.state = WorkState(phase="failed", rule=rule, instance=instance, remedy=remedy)
            entry.since = now

    # Below: without ---------------------------------------------------------------------------------------------------

    def _forget(self, key: str, who: Asker) -> None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                entry.askers.pop(who, None)
                self._advance(self._clock())

    def _keep_watch(self) -> None:
        """Nobody may ask any more: somebody has to notice."""
        if self._watch is None or not self._watch.is_alive():
            self._watch = threading.Thread(target=self._watch_over, name="works", daemon=True)
            self._watch.start()

    def _watch_over(self) -> None:
        while True:
            time.sleep(TICK_S)
            with self._lock:
                self._advance(self._clock())
                if not self._entries:
                    self._watch = None
                    return


# In a job's process -------------------------------------------------------------------------------------------------


class Context(Protocol):
    """The part of a job's context that is needed here."""

    @property
    def tell(self) -> Callable[..., None]: ...

    @property
    def should_stop(self) -> Callable[[], bool]: ...


class Progress:
    """What a work that runs is to tell: the share that is done, and if it likes what it has so far.

    Telling raises JobStopped when nobody wants the work any more.
    """

    def __init__(
        self, context: Context, store: Store, key: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._context, self._store, self._key, self._clock = context, store, part_key(key), clock
        self._share, self._part, self._shown_at = 0.0, 0, clock()

    def __call__(self, share: float) -> None:
        """Tell the share that is done."""
        self._share = share
        self._tell()

    def show(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Let those who wait see this much of the result, unless they were shown some a moment ago."""
        if self._clock() - self._shown_at < PART_S:
            return
        try:
            self._store.put_result(self._key, arrays)
        except StoreUnavailable:  # at the end, with the whole, there may be room
            return
        self._part += 1
        self._tell()
        self._shown_at = self._clock()

    def heed_stop(self) -> None:
        """Raise JobStopped when nobody wants the work any more."""
        if self._context.should_stop():
            raise JobStopped

    def close(self) -> None:
        """Take away what was shown: the whole is there, or nothing will be."""
        if self._part:
            with suppress(StoreUnavailable):  # it will have to make room, like any other result
                self._store.discard(self._key)

    def _tell(self) -> None:
        self.heed_stop()
        self._context.tell({"doing": "computing", "share": round(self._share, 3), "part": self._part})


def run_work(context: Context, order: Mapping[str, Any]) -> dict[str, Any]:
    """Have the result of a work in the store, in a job's process: it is there already, or is computed and kept.

    Raises: TraceGone, JobStopped, TraceTooLarge, StoreUnavailable, and what the function of its kind raises.
    """
    store, key = open_store(StoreAddress.from_json(order["store"])), order["id"]
    progress = Progress(context, store, key)
    with closing(progress), store.computing(key, while_waiting=progress.heed_stop):
        if store.get_result(key) is None:
            trace = find_trace(store, order["trace"])
            if trace is None:
                raise TraceGone
            progress(0.0)
            store.put_result(key, _named(order["function"])(trace, progress, **order["arguments"]))
    return {}


def prepare_home(home: str) -> None:
    """Do, in a process that stays, what its works need once."""
    _named(home)()


def _named(function: str) -> Callable[..., Any]:
    module, _, name = function.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found
