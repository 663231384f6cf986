"""Python that computes what a figure shows and draws it: the source of the panel's own function, and all it takes.

What is shown is what ran: no second version of it can differ. What panels define is written out, and what other rooms
define is imported, so that nothing is imported from a panel.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Mapping
from functools import cache
from pprint import pformat
from typing import TYPE_CHECKING, Any, Final

from dashapp.jobs.works import Work
from dashapp.panels.run_files import file_name
from dashapp.traces.record import Trace

if TYPE_CHECKING:
    from dashapp.panels.panel import Panel

PANELS: Final = "dashapp.panels"
OFFERED: Final = ("dashapp.traces.record", "dashapp.model.tokenizer", "dashapp.model.sampling")  # by `dashapp` itself
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
        "from dashapp.experiments.parity import parity_of",
        "parity_of({model}.weights, {trace}.token_ids, progress=progress, **arguments).arrays()",
    ),
    "checks": (
        "from dashapp.experiments.checking import check",
        "check({model}.weights, {trace}, progress, **arguments).arrays()",
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
        "from dashapp.experiments.head_probe import probe_heads",
        "probe_heads({model}, {model}.weights, progress=progress).arrays()",
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
    named, sources = _written(function.__name__, function.__module__)
    models = _model_names(traces)
    imports, computed = _work(work, traces, models)
    parts = [
        f'"""{panel.title}: {panel.question}"""',
        "from __future__ import annotations",
        _import_lines({"import dashapp", *imports, *named}),
        "\n".join([*_loaded(traces, models), *(_traced(name, trace, models[name]) for name, trace in traces.items())]),
        *computed,
        *(f"\n{source}\n" if "\n" in source else source for source in sources.values()),
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


def _written(name: str, module: str) -> tuple[set[str], dict[str, str]]:
    """What a name of a panel's module takes: lines of imports, and the sources of what panels define, each after those
    that it takes itself; nothing for a name that the module has not, as of a builtin.
    """
    statement = _statements(module).get(name)
    if isinstance(statement, ast.ImportFrom) and str(statement.module).startswith(PANELS):
        return _written(statement.names[0].name, str(statement.module))
    if isinstance(statement, ast.ImportFrom) and statement.module in OFFERED:
        return {ast.unparse(ast.ImportFrom("dashapp", statement.names, 0))}, {}
    if statement is None or isinstance(statement, ast.Import | ast.ImportFrom):
        return ({ast.unparse(statement)} if statement else set()), {}
    imports: set[str] = set()
    sources: dict[str, str] = {}
    for each in dict.fromkeys(node.id for node in ast.walk(statement) if isinstance(node, ast.Name)):
        if each != name:
            lines, before = _written(each, module)
            imports, sources = imports | lines, sources | before
    return imports, sources | {name: _source(statement, module)}


@cache
def _statements(module: str) -> Mapping[str, ast.stmt]:
    """The statement of a module that each of its names is from; of an import, with that name alone."""
    found: dict[str, ast.stmt] = {}
    for statement in ast.parse(inspect.getsource(sys.modules[module])).body:
        match statement:
            case ast.Import(names=names):
                found |= {each.asname or each.name: ast.Import([each]) for each in names}
            case ast.ImportFrom(module=home, names=names):
                found |= {each.asname or each.name: ast.ImportFrom(home, [each], 0) for each in names}
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found[name] = statement
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                found[name] = statement
    return found


def _source(statement: ast.stmt, module: str) -> str:
    """What stands in a module, decorators too, without what is for tools."""
    decorators = getattr(statement, "decorator_list", [])
    first = min(node.lineno for node in (statement, *decorators))
    lines = inspect.getsource(sys.modules[module]).splitlines()[first - 1 : statement.end_lineno]
    return FOR_TOOLS.sub("", "\n".join(lines))


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
