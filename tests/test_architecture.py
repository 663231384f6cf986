"""Who may import whom: docs/architecture.md's table, kept true by reading the imports from the sources."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest

ROOT = Path(__file__).parents[1]
PUBLIC_FUNCTIONS = ("load", "trace", "generate")

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for top in ("dashapp", "pages")
    for path in sorted((ROOT / top).rglob("*.py"))
}
# `__main__` would serve the app, a page can only be imported into one, and `jobs.warm` is the one module that works at
# import: it reads the environment and a model, so it has a test of its own.
WARM = "dashapp.jobs.warm"
IMPORTABLE = [name for name in MODULES if name.startswith("dashapp") and name not in ("dashapp.__main__", WARM)]


@dataclass(frozen=True)
class Room:
    """What the modules of a room may import besides the standard library, `settings`, `errors` and `logs`.

    packages: of other people. ours: modules of ours, each with what is below it; "all" for the rooms on top.
    `but_not`: modules of ours that an entry of `ours` would let in.
    """

    packages: frozenset[str] = frozenset()
    ours: tuple[str, ...] = ()
    but_not: tuple[str, ...] = ()


WITH_TORCH = (
    "dashapp.model.gpt2",
    "dashapp.model.tap",
    "dashapp.model.checkpoint",
    "dashapp.model.generation",
    "dashapp.traces.capture",
)
DASH = frozenset({"dash", "dash_bootstrap_components", "flask"})
BELOW_JOBS = ("dashapp.model", "dashapp.traces", "dashapp.store", "dashapp.analysis", "dashapp.experiments")
FOUND = (
    "dashapp.experiments.results",
    "dashapp.experiments.orders",
    "dashapp.experiments.sweeps",
    "dashapp.experiments.cells",
    "dashapp.experiments.ablations",
    "dashapp.experiments.published",
    "dashapp.experiments.checks",
)  # what experiments find, torch-free
MODEL = frozenset(
    {"numpy", "safetensors", "tiktoken", "huggingface_hub", "httpx2", "psutil"}
)  # httpx2: the hub's client
JOBS = frozenset({"numpy", "torch", "diskcache", "psutil"})
NO_ROOM = Room()  # of a module that ROOMS does not know: a test says so
ON_TOP = Room(ours=("all",))
ON_TOP_WITH_TORCH = Room(frozenset({"torch"}), ("all",))

# The longest name that a module's begins with is its room.
ROOMS = {
    "dashapp": ON_TOP,  # version and the lazy public functions
    **{f"dashapp.{name}": Room() for name in ("settings", "errors", "ids", "logs")},
    "dashapp.model": Room(MODEL, ("dashapp.model",), WITH_TORCH),
    **{name: Room(MODEL | {"torch"}, ("dashapp.model",)) for name in WITH_TORCH if ".model." in name},
    "dashapp.traces": Room(frozenset({"numpy", "safetensors"}), ("dashapp.model", "dashapp.traces"), WITH_TORCH),
    "dashapp.traces.capture": Room(frozenset({"numpy", "torch"}), ("dashapp.model", "dashapp.traces")),
    "dashapp.store": Room(
        frozenset({"numpy", "safetensors", "diskcache"}), ("dashapp.traces", "dashapp.store"), WITH_TORCH
    ),
    "dashapp.store.objects": Room(frozenset({"boto3", "botocore"})),
    "dashapp.store.remote_locks": Room(ours=("dashapp.store.objects",)),
    "dashapp.store.remote_file": Room(frozenset({"numpy"}), ("dashapp.model.tensorfile", "dashapp.store")),
    "dashapp.analysis": Room(
        frozenset({"numpy", "scipy", "networkx"}),
        ("dashapp.traces", "dashapp.analysis", "dashapp.model.weights", "dashapp.model.sampling"),
        WITH_TORCH,
    ),
    "dashapp.analysis.projection": Room(frozenset({"numpy", "umap"}), ("dashapp.traces", "dashapp.analysis")),
    "dashapp.experiments": Room(
        frozenset({"numpy", "torch"}), ("dashapp.model", "dashapp.traces", "dashapp.analysis", "dashapp.experiments")
    ),
    "dashapp.experiments.parity": Room(
        frozenset({"numpy", "torch", "transformers"}), ("dashapp.model", "dashapp.experiments")
    ),
    "dashapp.experiments.results": Room(frozenset({"numpy"})),
    "dashapp.experiments.ablations": Room(frozenset({"numpy"}), ("dashapp.model.config",)),
    "dashapp.experiments.cells": Room(frozenset({"numpy"}), ("dashapp.experiments.sweeps",)),
    "dashapp.experiments.orders": Room(frozenset({"numpy"}), ("dashapp.model.config",)),
    "dashapp.experiments.sweeps": Room(
        frozenset({"numpy"}), ("dashapp.analysis.alignment", "dashapp.experiments.orders")
    ),
    "dashapp.experiments.published": Room(
        frozenset({"numpy"}),
        (
            *("dashapp.experiments.orders", "dashapp.experiments.sweeps"),
            *("dashapp.model.config", "dashapp.model.tokenizer"),
        ),
    ),
    "dashapp.experiments.checks": Room(
        frozenset({"numpy"}),
        ("dashapp.experiments.published", "dashapp.experiments.results", "dashapp.analysis.identities"),
    ),
    "dashapp.jobs": Room(JOBS, (*BELOW_JOBS, "dashapp.jobs")),
    "dashapp.jobs.resident": Room(JOBS | {"multiprocess"}, (*BELOW_JOBS, "dashapp.jobs")),
    # Panels say what is to be worked on, and the web process asks for it: without torch.
    "dashapp.jobs.works": Room(JOBS - {"torch"}, (*BELOW_JOBS, "dashapp.jobs.outcome"), WITH_TORCH),
    "dashapp.jobs.places": Room(frozenset({"redis"}), ("dashapp.jobs.admission",)),
    "dashapp.jobs.queue": Room(frozenset({"redis", "celery"}), ("dashapp.jobs.keys", "dashapp.jobs.places")),
    "dashapp.jobs.queue_manager": Room(DASH | {"redis", "celery", "kombu"}, ("dashapp.jobs",), WITH_TORCH),
    "dashapp.jobs.worker": Room(frozenset({"redis", "celery", "torch"}), (*BELOW_JOBS, "dashapp.jobs")),
    "dashapp.jobs.manager": Room(JOBS | DASH | {"multiprocess", "celery"}, (*BELOW_JOBS, "dashapp.jobs")),
    "dashapp.figures": Room(
        frozenset({"numpy", "plotly"}),
        ("dashapp.analysis", *FOUND, "dashapp.traces.names", "dashapp.figures"),
    ),
    "dashapp.panels": Room(
        DASH | {"numpy"},
        (
            "dashapp.figures",
            "dashapp.analysis",
            "dashapp.store",
            "dashapp.traces",
            "dashapp.ids",
            "dashapp.model",
            *FOUND,
            "dashapp.jobs.works",
            "dashapp.door",
            "dashapp.panels",
        ),
        WITH_TORCH,
    ),
    "dashapp.panels.formulas": Room(DASH | {"latex2mathml"}, ("dashapp.panels.fixed",)),
    "dashapp.door": Room(frozenset({"flask"}), ("dashapp.door",)),
    "dashapp.shell": Room(
        DASH,
        (
            "dashapp.shell",
            "dashapp.door",
            "dashapp.panels",
            "dashapp.figures",
            "dashapp.jobs",
            "dashapp.ids",
            "dashapp.model.examples",
        ),
    ),
    "dashapp.shell.strip_attention": Room(
        DASH, ("dashapp.panels", "dashapp.analysis", "dashapp.traces", "dashapp.ids"), WITH_TORCH
    ),
    "dashapp.shell.strip_measures": Room(
        DASH,
        ("dashapp.panels", "dashapp.analysis", "dashapp.traces", "dashapp.model.tokenizer", "dashapp.ids"),
        WITH_TORCH,
    ),
    "dashapp.shell.typed": Room(
        DASH, ("dashapp.panels", "dashapp.model.tokenizer", "dashapp.model.merges", "dashapp.ids"), WITH_TORCH
    ),
    "dashapp.shell.takeaway": Room(DASH, ("dashapp.panels", "dashapp.analysis.table"), WITH_TORCH),
    "dashapp.shell.recipes": Room(DASH, ("dashapp.store", "dashapp.ids"), WITH_TORCH),
    "dashapp.shell.run_file": Room(
        DASH | {"werkzeug"},
        (
            *("dashapp.panels", "dashapp.door", "dashapp.store", "dashapp.traces", "dashapp.jobs.works"),
            *("dashapp.analysis.same_trace", "dashapp.model.tokenizer", "dashapp.model.sampling"),
            "dashapp.shell.takeaway",
        ),
        WITH_TORCH,
    ),
    "dashapp.shell.report": Room(DASH, ("dashapp.report", "dashapp.shell.takeaway"), WITH_TORCH),
    "dashapp.report": Room(
        frozenset({"dash"}),
        (
            *("dashapp.report", "dashapp.panels", "dashapp.analysis.alignment", "dashapp.figures"),
            *("dashapp.jobs.works", "dashapp.ids", "dashapp.experiments.checks"),
            *("dashapp.traces.record", "dashapp.model.sampling", "dashapp.model.tokenizer"),
        ),
        WITH_TORCH,
    ),
    "dashapp.report.written": ON_TOP_WITH_TORCH,  # the command line's
    "pages": Room(DASH, ("dashapp.shell", "dashapp.panels", "dashapp.jobs", "dashapp.ids")),
    # On top, where everything may be imported. The web process and the command line start without torch; `api` and
    # `worker` are imported when there is work to do.
    **{f"dashapp.{name}": ON_TOP for name in ("app", "server", "clientside", "cli", "__main__", "doctor", "metrics")},
    **{f"dashapp.{name}": ON_TOP_WITH_TORCH for name in ("api", "worker")},
}


def is_within(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}.")


def room_of(module: str) -> Room:
    name = max((name for name in ROOMS if is_within(module, name)), key=len)
    return ROOMS[name] if name != "dashapp" or module == name else NO_ROOM


def imports_of(source: str, *, at_import_only: bool = False) -> Iterator[str]:
    """The modules a source imports; those for type checkers alone are left out.

    at_import_only: leave out those inside functions too.
    """
    skipped: tuple[type[ast.AST], ...] = (ast.FunctionDef, ast.AsyncFunctionDef) if at_import_only else ()
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, skipped):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else str(node.module) for name in inner)
        waiting += ast.iter_child_nodes(node)


def trespasses(module: str, source: str) -> list[str]:
    """What a module imports and may not."""
    room = room_of(module)
    return sorted({name for name in imports_of(source) if not may_import(room, name)})


def may_import(room: Room, name: str) -> bool:
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or name in ("dashapp.settings", "dashapp.errors", "dashapp.logs"):
        return True
    if "all" in room.ours:
        return True
    if top not in ("dashapp", "pages"):
        return top in room.packages
    is_allowed = any(is_within(name, place) for place in room.ours)
    return is_allowed and not any(is_within(name, place) for place in room.but_not)


# The table -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_room_may(module: str) -> None:
    assert trespasses(module, MODULES[module].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("module", "source", "caught"),
    [
        ("dashapp.model.weights", "import torch", ["torch"]),
        ("dashapp.model.weights", "def f():\n    from torch import nn", ["torch"]),
        ("dashapp.model.weights", "from dashapp.model import gpt2", ["dashapp.model.gpt2"]),
        ("dashapp.model.gpt2", "from dashapp.traces.names import x", ["dashapp.traces.names"]),
        ("dashapp.traces.record", "from dashapp.traces.capture import capture", ["dashapp.traces.capture"]),
        ("dashapp.store.disk", "from dashapp.model.gpt2 import GPT2", ["dashapp.model.gpt2"]),
        ("dashapp.store.disk", "import dash\nimport numpy", ["dash"]),
        ("dashapp.analysis.attention", "import plotly.graph_objects as go", ["plotly.graph_objects"]),
        ("dashapp.figures.theme", "from dashapp.store.disk import Store", ["dashapp.store.disk"]),
        ("dashapp.jobs.tracing", "import dash", ["dash"]),
        ("pages.home", "import pages.compare, torch", ["pages.compare", "torch"]),
        ("dashapp.errors", "from dashapp.model.sites import SITES", ["dashapp.model.sites"]),
        ("dashapp.model.gpt2", "import torch\nfrom dashapp.model.tap import Tap\nimport math", []),
        ("dashapp.model.weights", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch", []),
        ("dashapp.cli", "import torch\nfrom dashapp.model.gpt2 import GPT2", []),
    ],
)
def test_the_table_would_catch_a_trespass(module: str, source: str, caught: list[str]) -> None:
    assert trespasses(module, source) == caught


def test_every_module_has_a_room() -> None:
    assert [name for name in MODULES if room_of(name) is NO_ROOM] == [], "say in ROOMS what they may import"
    assert room_of("dashapp.misplaced") is NO_ROOM


def test_rooms_are_named_for_one_idea() -> None:
    homeless = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert not homeless & {part for module in MODULES for part in module.split(".")}


# Torch stays below ---------------------------------------------------------------------------------------------------


def torch_free_modules() -> list[str]:
    """Modules whose room has no torch, not even by way of what they import."""
    return [name for name in MODULES if "torch" not in room_of(name).packages]


def python(program: str, *, environ: Mapping[str, str] = MappingProxyType({})) -> str:
    """What a fresh interpreter prints, with more environment variables than this one has."""
    command, variables = [sys.executable, "-c", program], {**os.environ, **environ}
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=variables, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_importing_dashapp_leaves_torch_out() -> None:
    assert python("import dashapp, sys; print('torch' in sys.modules, 'numpy' in sys.modules)") == "False False"


def test_torch_free_modules_import_no_torch_by_any_way_round() -> None:
    """Neither does any package that they import: one interpreter imports them all."""
    names = [name for name in torch_free_modules() if name in IMPORTABLE]
    program = f"import importlib, sys\nfor name in {names!r}:\n    importlib.import_module(name)\n"
    program += "    assert 'torch' not in sys.modules, name"
    python(program)


@pytest.mark.parametrize("module", torch_free_modules())
def test_torch_is_out_of_reach_of_what_a_torch_free_module_imports(module: str) -> None:
    """The same by the import graph, which names the way."""
    reached = {module: module}
    waiting = [module]
    while waiting:
        here = waiting.pop()
        for name in imports_of(MODULES[here].read_text(encoding="utf-8"), at_import_only=True):
            if name not in reached:
                reached[name] = f"{reached[here]} → {name}"
                waiting += [name] if name in MODULES else []
    assert not [way for name, way in reached.items() if is_within(name, "torch")]


# Names ---------------------------------------------------------------------------------------------------------------


def test_no_module_bears_the_name_of_a_public_function() -> None:
    """Importing a room dashapp.trace would put the room in the place of the function."""
    assert not {f"dashapp.{name}" for name in PUBLIC_FUNCTIONS} & MODULES.keys()


@pytest.mark.parametrize("module", IMPORTABLE)
def test_every_module_imports(module: str) -> None:
    importlib.import_module(module)


def test_the_warm_module_imports_where_there_is_a_model(model_folder: Path, tmp_path: Path) -> None:
    folders = {"DASHAPP_MODELS_DIR": str(model_folder.parent), "DASHAPP_CACHE_DIR": str(tmp_path)}
    python(f"import {WARM}", environ={**folders, "DASHAPP_MODEL": model_folder.name})


def test_public_functions_are_still_functions_once_every_module_is_imported() -> None:
    program = "import dashapp, importlib\n"
    program += f"for name in {IMPORTABLE!r}:\n    importlib.import_module(name)\n"
    program += f"for name in {PUBLIC_FUNCTIONS!r}:\n"
    program += "    assert type(getattr(dashapp, name)).__name__ == 'function', name\n"
    python(program)
