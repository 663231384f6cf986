"""Python that computes what a figure shows and draws it: the source of the panel's own function, and all it takes.

What is shown is what ran: no second version of it can differ. Names are imported from where they are at home.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Mapping
from pprint import pformat
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from dashapp.jobs.works import Work
from dashapp.panels.run_files import file_name
from dashapp.traces.record import Trace

if TYPE_CHECKING:
    from dashapp.panels.panel import Panel

WIDTH: Final = 110
LOOKS: Final = ("theme", "text", "units", "narrow", "pins")  # of a view, beside what is selected
LONGEST_TEXT: Final = 80  # of a prompt, in the comment that quotes it
FOR_TOOLS: Final = re.compile(r" +# (type: ignore|noqa).*$", re.MULTILINE)

# What each kind of work does in its job, as an import and an expression of {model}, {trace}, {other} and `arguments`.
WORKS: Final[Mapping[str, tuple[str, str]]] = {
    "umap": (
        "from dashapp.analysis.projection import umap_of_trace",
        "umap_of_trace({trace}, progress, **arguments)",
    ),
    "vocabulary": (
        "from dashapp.analysis.projection import umap_of_vocabulary",
        "umap_of_vocabulary({trace}, progress, **arguments)",
    ),
    "lens": (
        "from dashapp.analysis.lens_map import lens_map",
        "lens_map({trace}, progress=progress, **arguments).arrays()",
    ),
    "lens-change": (
        "from dashapp.analysis.alignment import Pins\nfrom dashapp.analysis.alignment import align\n"
        "from dashapp.analysis.changes import aligned_pairs\nfrom dashapp.analysis.lens_change import lens_change",
        "lens_change(\n    {trace},\n    {other},\n    aligned_pairs(align({trace}.token_ids, {other}.token_ids, "
        'Pins.read(arguments.get("pins", "")))),\n    scale=arguments["scale"],\n    progress=progress,\n).arrays()',
    ),
    "paths": (
        "from dashapp.analysis.layers import paths\nfrom dashapp.analysis.layers import states_between_layers",
        "paths(states_between_layers({trace}), **arguments).arrays()",
    ),
    "parity": (
        "from dashapp.experiments.parity import parity_of\nfrom dashapp.model.checkpoint import weights_of",
        "parity_of(weights_of({model}), {trace}.token_ids, progress=progress, **arguments).arrays()",
    ),
    "checks": (
        "from dashapp.experiments.checking import check\nfrom dashapp.model.checkpoint import weights_of",
        "check(weights_of({model}), {trace}, progress, **arguments).arrays()",
    ),
    "rollout": (
        "from dashapp.analysis.rollout import rollout",
        "rollout({trace}, progress=progress, **arguments)",
    ),
    "flow": (
        "from dashapp.analysis.rollout import attention_flow",
        "dict(flow=attention_flow({trace}, progress=progress, **arguments))",
    ),
    "heads": (
        "from dashapp.experiments.head_probe import probe_heads\nfrom dashapp.model.checkpoint import weights_of",
        "probe_heads({model}, weights_of({model}), progress=progress).arrays()",
    ),
    "patching": (
        "from dashapp.experiments.interventions import patch",
        "patch({model}, {trace}, progress, **arguments)",
    ),
    "estimate": (
        "from dashapp.experiments.interventions import estimate_patches",
        "estimate_patches({model}, {trace}, progress, **arguments)",
    ),
    "cell": (
        "from dashapp.experiments.interventions import patch_one",
        "patch_one({model}, {trace}, progress, **arguments)",
    ),
    "ablation": (
        "from dashapp.experiments.interventions import ablate",
        "ablate({model}, {trace}, progress, **arguments)",
    ),
}


def snippet(
    panel: Panel,
    arguments: Mapping[str, Any],
    *,
    traces: Mapping[str, Trace],
    work: Work | None,
    view: Mapping[str, Any] | None,
) -> str:
    """Python that ends with `table`, a `dashapp.analysis.table.Table` of what a panel shows, and with its `figure`.

    arguments: of the panel's `numbers`, its result and first trace left out. traces: by the names that they get. work:
    what must be computed first, or None. view: as a browser sends it; without one no figure is drawn.
    """
    function = panel.numbers
    assert function is not None, "who asks has looked"
    source = FOR_TOOLS.sub("", inspect.getsource(function))
    models = _model_names(traces)
    imports, computed = _work(work, traces, models)
    parts = [
        f'"""{panel.title}: {panel.question}"""',
        "from __future__ import annotations",
        _import_lines({"import dashapp", *imports, *_imports(source, function)}),
        "\n".join([*_loaded(traces, models), *(_traced(name, trace, models[name]) for name, trace in traces.items())]),
        *computed,
        f"\n{source}",
        _call(function, arguments, traces, result="None" if work is None else "result"),
        *([] if view is None else [_figure(panel, view, traces, has_result=work is not None)]),
    ]
    return "\n\n".join(parts) + "\n"


def _import_lines(lines: set[str]) -> str:
    """One line for each module, other people's first."""
    modules: dict[str, list[str]] = {}
    for line in sorted(lines):
        module, _, name = line.partition(" import ") if line.startswith("from") else (line, "", "")
        modules.setdefault(module, []).append(name)
    whole = [f"{module} import {', '.join(names)}" if names[0] else module for module, names in modules.items()]
    return "\n".join(sorted(whole, key=lambda line: ("dashapp" in line, line.startswith("from"), line)))


def _imports(source: str, function: Any) -> set[str]:
    """A line for each name of a function's source that its module has."""
    names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    known = function.__globals__
    return {_import(name, known[name], function.__module__) for name in names if name in known}


def _import(name: str, value: object, module: str) -> str:
    """Where a name is at home; `module`, which uses it, for values that do not know."""
    if isinstance(value, ModuleType):
        return f"import {value.__name__}" + ("" if value.__name__ == name else f" as {name}")
    home = getattr(value, "__module__", None)
    is_there = isinstance(home, str) and getattr(sys.modules.get(home), name, None) is value
    return f"from {home if is_there else module} import {name}"


def _model_names(traces: Mapping[str, Trace]) -> dict[str, str]:
    """Which model each trace is of: one for all, unless they have other weights."""
    is_one = len({(trace.fingerprint, trace.dtype) for trace in traces.values()}) == 1
    return {name: "model" if is_one else f"model_{name}" for name in traces}


def _loaded(traces: Mapping[str, Trace], models: Mapping[str, str]) -> list[str]:
    lines = {}
    for name, trace in traces.items():
        dtype = "" if trace.dtype == "float32" else f', dtype="{trace.dtype}"'
        lines[models[name]] = f"{models[name]} = dashapp.load({json.dumps(trace.model_name)}{dtype})"
    return [*lines.values()]


def _traced(name: str, trace: Trace, model: str) -> str:
    """A trace from its own tokens, and that it is the same."""
    text = "".join(trace.token_texts)
    if trace.is_from_file:
        file = json.dumps(file_name(trace, trace.run_told))
        says = "# From a file, not computed here: download this run, and put it beside this program."
        return f"{says}\n{name} = dashapp.Trace.open({file}, weights={model}.weights)"
    quoted = repr(text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…")
    ids = textwrap.fill(", ".join(map(str, trace.token_ids.tolist())), WIDTH, initial_indent=" " * 4).strip()
    ids = ids.replace("\n", "\n    ")
    return (
        f"# {quoted}\n"
        f"{name} = dashapp.trace(\n    {model},\n    [{ids}],\n)\n"
        f'assert {name}.key.startswith("{trace.key[:16]}"), "the model here has other weights"'
    )


def _work(work: Work | None, traces: Mapping[str, Trace], models: Mapping[str, str]) -> tuple[set[str], list[str]]:
    """What a work's result takes: imports, and lines that compute it."""
    if work is None:
        return set(), []
    line, expression = WORKS[work.kind]
    name = next(name for name, trace in traces.items() if trace.key == work.trace)
    other = next((each for each in traces if each != name), name)
    lines = [f"result = {expression.format(trace=name, other=other, model=models[name])}"]
    if "arguments" in expression:
        said = pformat(dict(work.arguments), width=WIDTH, compact=True, sort_dicts=False)
        lines.insert(0, f"arguments = {said}")
    if "progress" in expression:
        lines.insert(0, "progress = lambda share: None  # told the share of the work that is done")
    return set(line.split("\n")), ["\n".join(lines)]


def _call(function: Any, arguments: Mapping[str, Any], traces: Mapping[str, Trace], *, result: str) -> str:
    first, *others = traces
    said = [f"{key}={others[0] if key == 'other' else repr(value)}" for key, value in arguments.items()]
    if "result" in inspect.signature(function).parameters:
        said.append(f"result={result}")
    line = f"table = {function.__name__}({', '.join([first, *said])})"
    if len(line) > WIDTH:
        line = f"table = {function.__name__}(\n    {first},\n    " + ",\n    ".join(said) + ",\n)"
    return f"{line}\nprint(table.quantity, table.values.shape)\nprint(table.values)"


def _figure(panel: Panel, view: Mapping[str, Any], traces: Mapping[str, Trace], *, has_result: bool) -> str:
    """Lines that draw the figure as the page does."""
    first, *others = traces
    read = {name: view[name] for name in (*LOOKS, *panel.reads) if name in view and name != "branches"}
    if others:
        read["beside"] = {name: view["beside"][name] for name in panel.reads if name in view["beside"]}
    if panel.knobs:
        read["knobs"] = {knob.name: view["knobs"][knob.name] for knob in panel.knobs}
    said = pformat(read, width=WIDTH, compact=True, sort_dicts=False)
    given = [json.dumps(panel.name), first, "view", *(f"other={other}" for other in others)]
    given += ["result=result"] if has_result else []
    return (
        f"view = {said}\n# Plotly's: figure.show() opens it in a browser, figure.write_html() keeps it.\n"
        f"figure = dashapp.figure({', '.join(given)})"
    )
