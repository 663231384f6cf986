"""A report as HTML, piece by piece: one file with its style, its scripts and its figures, which asks for nothing.

Its content policy lets no script run but those written here, told by their hashes, and lets nothing be fetched.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from html import escape
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from dash.development.base_component import Component

from dashapp.errors import DashappError, TraceGone
from dashapp.experiments.checks import Checks, rows
from dashapp.figures.plotly_js import FILE as PLOTLY_JS
from dashapp.figures.theme import css_variables
from dashapp.figures.tokens import plain_label
from dashapp.jobs.works import KINDS
from dashapp.model.tokenizer import token_text
from dashapp.panels import architecture, checks_table, model_facts
from dashapp.panels.beside import edits_sentence
from dashapp.panels.checks import CHECKS
from dashapp.panels.drawing import drawn_for
from dashapp.panels.panel import GRAPH_CONFIG, told_as_html
from dashapp.panels.source import Source
from dashapp.panels.vocabulary import all_names
from dashapp.report.components import html_of
from dashapp.report.contents import Entry, Prompt, Report
from dashapp.traces.record import Trace

HERE: Final = Path(__file__).parent
PAGES_SCRIPTS: Final = Path(__file__).parents[1] / "assets" / "js"
# After plotly.js: how the pages outline a selection, how they tell a token of the vocabulary, and what draws.
SCRIPTS: Final = (
    PLOTLY_JS,
    PAGES_SCRIPTS / "40-panels.js",
    PAGES_SCRIPTS / "59-names.js",
    HERE / "report.js",
)
MODEL: Final = "Model"  # the page with more than figures, and its style
MODEL_CSS: Final = Path(__file__).parents[1] / "assets" / "css" / "20-model.css"
PACKAGES: Final = ("dashapp", "torch", "numpy", "plotly")
LEAST_HEIGHT: Final = 120  # pixels of a figure that names none


def pieces(report: Report, *, now: datetime) -> Iterator[str]:
    """The file, in the order in which it is read; a figure is drawn when its turn has come.

    now: when it is made, with a time zone. A panel that cannot be drawn says why in the place of its figure.
    """
    yield _head(report)
    yield _top(report, now)
    has_names = False
    for page, entries in groupby(report.entries, key=lambda entry: entry.page):
        yield f"<h2>{escape(page)}</h2>"
        for _, beside in groupby(entries, key=lambda entry: entry.panel.name):
            made = [_section(entry) for entry in beside]
            has_names = has_names or any(each.has_names for each in made)
            yield made[0].html if len(made) == 1 else f'<div class="beside">{"".join(each.html for each in made)}</div>'
        if page == MODEL:
            yield from _model(report)
    yield "</main>"
    if has_names:
        yield _data(json.dumps(all_names()), id="names")
    shown = {prompt.slot: {**prompt.selected, "key": prompt.selected["key_pos"]} for prompt in report.prompts}
    yield _data(json.dumps({"config": GRAPH_CONFIG, "selected": shown}), id="report")
    for script in SCRIPTS:
        yield f"<script>{_script(script).text}</script>\n"
    yield "</body></html>\n"


def _model(report: Report) -> Iterator[str]:
    """What the page Model tells beside its figures, of each model that computed a prompt."""
    for prompt in {each.trace.fingerprint: each for each in report.prompts}.values():
        trace = prompt.trace
        parts = [architecture.layout(trace.config), *_facts_of(trace), *_checks_of(report, trace)]
        yield f'<div class="model">{html_of(parts, n_tokens=trace.n_tokens)}</div>'


def _facts_of(trace: Trace) -> list[Component]:
    """What is loaded, where it is."""
    source = Source.here()
    weights = source.models.of(trace.fingerprint, name=trace.model_name)
    return [] if weights is None else [model_facts.layout(source, weights)]


def _checks_of(report: Report, trace: Trace) -> list[Component]:
    """The table of checks, with verdicts where they have been done."""
    for entry in report.entries:
        if entry.panel is CHECKS and entry.trace is not None and entry.trace.key == trace.key:
            result = Source.here().store.get_result(entry.work.key) if entry.work else None
            found = rows(Checks.from_arrays(result) if result else None, dtype=trace.dtype)
            return [checks_table.section(checks_table.table(found, is_done=result is not None))]
    return []


# The frame of the file -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A script as it stands in the file, and its hash as a content policy names it."""

    text: str
    hash: str


@cache
def _script(path: Path) -> Script:
    text = path.read_text(encoding="utf-8")
    assert "</script" not in text.lower(), f"{path} would end its own element"
    digest = b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Script(text=text, hash=f"'sha256-{digest}'")


def _policy() -> str:
    """Nothing is fetched, and no script runs but ours; Plotly writes styles and lets figures be saved as pictures."""
    hashes = " ".join(_script(path).hash for path in SCRIPTS)
    return f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'"


def _head(report: Report) -> str:
    theme, text = report.frame.theme, report.frame.text
    sheets = [HERE / "report.css", *([MODEL_CSS] if MODEL in report.pages else [])]
    style = "\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets)
    return (
        f'<!DOCTYPE html>\n<html lang="en" data-bs-theme="{theme}" style="--text: {text:g}">\n<head>\n'
        f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{_policy()}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(' · '.join([*report.pages, 'Inside GPT-2']))}</title>\n"
        f"<style>{css_variables()}\n{style}</style>\n</head>\n<body>\n<main>\n"
    )


def _top(report: Report, now: datetime) -> str:
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    made = f"Made on {now:%Y-%m-%d at %H:%M %Z} with {versions}. The file needs no network and no app."
    scripts = "<noscript><p>Its figures are drawn by a script that it contains: let it run to see them.</p></noscript>"
    prompts = "".join(_prompt(prompt, is_alone=len(report.prompts) == 1) for prompt in report.prompts)
    edits = f"<p>{escape(_edits(report))}</p>" if report.pins else ""
    return f'<h1>Inside GPT-2</h1><p>{escape(made)}</p>{scripts}<div class="beside">{prompts}</div>{edits}'


def _edits(report: Report) -> str:
    """What a person decided of the alignment of both prompts."""
    a, b = (prompt.trace for prompt in report.prompts)
    return f"The alignment of a and b. {edits_sentence(a, b, report.pins)}"


# Prompts -------------------------------------------------------------------------------------------------------------


def _prompt(prompt: Prompt, *, is_alone: bool) -> str:
    name = "Prompt" if is_alone else f"Prompt {prompt.slot}"
    facts = "".join(f"<dt>{name}</dt><dd>{escape(says)}</dd>" for name, says in _facts(prompt).items())
    return (
        f'<section class="of-{prompt.slot}"><h2>{name}</h2><p class="tokens">{_running(prompt)}</p>\n'
        f"<dl>{facts}</dl>{_tokens(prompt)}</section>"
    )


def _running(prompt: Prompt) -> str:
    """The text, its tokens apart: what was generated is underlined, the selected token outlined."""
    spans = []
    for pos, text in enumerate(prompt.trace.token_texts):
        kinds = {"drawn": pos >= prompt.n_prompt, "chosen": pos == prompt.selected["pos"]}
        classes = " ".join(name for name, holds in kinds.items() if holds)
        spans.append(f'<span class="{classes}">{_visible(text)}</span>')
    return "".join(spans)


def _tokens(prompt: Prompt) -> str:
    pairs = zip(prompt.trace.token_texts, prompt.trace.token_ids.tolist(), strict=True)
    rows = "".join(f"<li><code>{_visible(text)}</code> {token}</li>" for text, token in pairs)
    return f'<details><summary>Tokens with their numbers in the vocabulary</summary><ol start="0">{rows}</ol></details>'


def _visible(text: str) -> str:
    """A token, whole, its whitespace visible, as HTML."""
    return escape(plain_label(text, longest=len(text)))


def _facts(prompt: Prompt) -> dict[str, str]:
    trace, config = prompt.trace, prompt.trace.config
    sizes = f"{config.n_layer} layers of {config.n_head} heads, d_model {config.d_model:,}"
    n_drawn = trace.n_tokens - prompt.n_prompt
    where = {"Where it comes from": "From a file; not computed here."} if trace.is_from_file else {}
    return {
        **where,
        "Model": f"{trace.model_name}: {sizes}, {config.n_params / 1e6:,.1f} million parameters, {trace.dtype}",
        "Fingerprint of its weights": trace.fingerprint,
        "Tokens": f"{prompt.n_prompt:,} of the prompt, {n_drawn:,} generated (underlined)",
        "Settings": _settings(prompt),
        "Shown": _selection(prompt),
        "Trace": trace.key,
    }


def _settings(prompt: Prompt) -> str:
    if prompt.settings is None:
        return "Not known: the text was not drawn by this app."
    drawn = prompt.settings
    kept = f"top-k {drawn.top_k or 'off'}, top-p {'off' if drawn.top_p == 1 else f'{drawn.top_p:g}'}"
    end = "ends at" if drawn.stop_at_end else "goes on past"
    wanted = f"at most {drawn.max_new_tokens:,} new tokens, temperature {drawn.temperature:g}"
    return f"{wanted}, {kept}, seed {drawn.seed}, {end} <|endoftext|>"


def _selection(prompt: Prompt) -> str:
    """What the figures show of the prompt, in words."""
    chosen, texts = prompt.selected, prompt.trace.token_texts
    places = {"token": chosen["pos"], "second token": chosen["key_pos"]}
    said = [f"{name} {at} ‘{plain_label(texts[at])}’" for name, at in places.items() if at is not None]
    said += [f"{name} {chosen[name]}" for name in ("layer", "head", "neuron") if chosen[name] is not None]
    words = {"target": chosen["target"], "compared with": chosen["against"]}
    said += [f"{name} ‘{plain_label(token_text(token))}’" for name, token in words.items() if token is not None]
    return ", ".join(said) or "no token"


# Panels --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A panel as HTML. has_names: its figure has a dot for each token of the vocabulary."""

    html: str
    has_names: bool


def _section(entry: Entry) -> Section:
    panel = entry.panel
    body, meta = _body(entry)
    slot = f' <span class="slot">{entry.slot}</span>' if entry.slot == "b" or _is_beside(entry) else ""
    knobs = _knobs(entry)
    html = (
        f'<section class="panel of-{entry.slot}"><h3>{escape(panel.title)}{slot}</h3>\n'
        f'<p class="question">{escape(_question(panel.question))}</p>{body}{knobs}\n'
        f"<details><summary>About this panel</summary>{told_as_html(panel.about)}</details></section>\n"
    )
    return Section(html=html, has_names=bool(meta.get("names")))


def _question(question: str) -> str:
    """Without the sentence that says what to click: a file has nothing that would answer."""
    return question.partition(" Click ")[0]


def _is_beside(entry: Entry) -> bool:
    return entry.view is not None and entry.view.get("beside") is not None and not entry.panel.pairs


def _knobs(entry: Entry) -> str:
    """How the knobs stood."""
    set_to = entry.view["knobs"] if entry.view is not None else {}
    known = [(knob, set_to[knob.name]) for knob in entry.panel.knobs if set_to.get(knob.name)]
    said = [f"{knob.label}: {knob.options.get(value, value)}" for knob, value in known]
    return f'<p class="knobs">{escape(" · ".join(said))}</p>' if said else ""


def _body(entry: Entry) -> tuple[str, Mapping[str, Any]]:
    """Figure and foot line, or why there is none; and what the figure says of itself."""
    trace = entry.trace
    if entry.view is None:
        return _absent(entry.why), {}
    if trace is None:  # evicted since it was looked for
        return _absent(str(TraceGone())), {}
    try:
        drawn = drawn_for(entry.panel, trace, entry.view)
    except DashappError as error:
        return _absent(str(error)), {}
    meta: Mapping[str, Any] = drawn.figure.layout.meta or {}
    height = drawn.figure.layout.height or LEAST_HEIGHT
    attributes = {
        "data-slot": meta.get("slot", entry.slot),
        "data-marks": meta.get("marks", entry.panel.marks) or "",
        "style": f"min-height: {height:g}px",
        "role": "group",
        "aria-label": meta.get("summary", entry.panel.title),
    }
    named = " ".join(f'{name}="{escape(str(value))}"' for name, value in attributes.items())
    figure = f'<div class="figure" {named}>{_data(drawn.figure.to_json())}</div>'
    notes = [drawn.foot, _states(meta), _awaited(entry, meta)]
    return figure + "".join(f'<p class="foot">{escape(note)}</p>' for note in notes if note), meta


def _absent(why: str) -> str:
    return f'<p class="absent">{escape(why)}</p>'


def _states(meta: Mapping[str, Any]) -> str:
    n = len((meta.get("steps") or {}).get("names", ()))
    return f"Here is one of {n} states: in the app, buttons and keys lead through them." if n > 1 else ""


def _awaited(entry: Entry, meta: Mapping[str, Any]) -> str:
    if "awaits" not in meta or (work := entry.work) is None:
        return ""
    title = KINDS[work.kind].title
    return (
        f"This figure is not complete: it needs a longer computation, {title}, that had not been done when this file "
        "was made. Have it done in the app and take the page away again, or use dashapp report --all."
    )


def _data(text: str, **attributes: str) -> str:
    """JSON in an element that no browser runs; in it nothing can end that element."""
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    named = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f'<script type="application/json"{named}>{text}</script>'
