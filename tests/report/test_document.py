"""A page as one file: what a browser or the command line asks for is what the panels' own functions draw."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from dash import dcc, html

import dashapp
from dashapp import ids
from dashapp.cli import REPORT_PAGES
from dashapp.errors import TraceGone
from dashapp.figures.theme import Frame
from dashapp.model.sampling import SamplingSettings
from dashapp.panels.catalogue import BY_PAGE, PAIR_PANELS, PANELS
from dashapp.panels.fixed import Fixed
from dashapp.panels.panel import draw
from dashapp.panels.source import Source
from dashapp.report.components import html_of
from dashapp.report.contents import PAGES, Entry, Report, report_asked
from dashapp.report.document import pieces
from dashapp.report.opened import prompts_opened, report_opened
from tests.report.asking import page_asked

if TYPE_CHECKING:
    from pathlib import Path

    from dash import Dash
    from flask.testing import FlaskClient

    from dashapp.model.gpt2 import GPT2
    from dashapp.report.contents import Prompt
    from dashapp.settings import Settings
    from dashapp.traces.record import Trace

NOW = datetime(2026, 11, 30, 17, 5, tzinfo=UTC)
NASTY = "</script><b>&\"'"


@pytest.fixture(scope="module")
def traces(model_folder: Path, settings: Settings) -> tuple[Trace, Trace]:
    """In the store of the app."""
    model: GPT2 = dashapp.load(model_folder, settings=settings)
    made = [dashapp.trace(model, text, settings=settings) for text in ("a b c a b", "a b x a b")]
    return made[0], made[1]


@pytest.fixture
def context(app: Dash) -> Iterator[None]:
    with app.server.app_context():
        yield


class Read(HTMLParser):
    """What a browser makes of a file: its elements, and the text of each script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._is_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._is_script = tag == "script"
        if self._is_script:
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self._is_script = False

    def handle_data(self, data: str) -> None:
        if self._is_script:
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        else:
            self.words.append(data)

    @property
    def figures(self) -> list[dict[str, Any]]:
        data = [json.loads(text) for named, text in self.scripts if named.get("type") == "application/json"]
        return [each for each in data if isinstance(each, dict) and "data" in each]

    @property
    def text(self) -> str:
        return " ".join(self.words)


def written(report: Report) -> Read:
    return Read("".join(pieces(report, now=NOW)))


def opened(*traces: Trace) -> tuple[Prompt, ...]:
    settings = SamplingSettings(max_new_tokens=0, temperature=0.8)
    return prompts_opened([(trace, trace.n_tokens, settings) for trace in traces], {})


def numbers(spec: dict[str, str]) -> np.ndarray:
    """An array of float32 as Plotly writes it."""
    shape = [int(n) for n in spec["shape"].split(",")]
    return np.frombuffer(b64decode(spec["bdata"]), dtype=np.float32).reshape(shape)


@pytest.mark.usefixtures("context")
def test_a_page_has_every_figure_of_its_panels_with_their_words(traces: tuple[Trace, Trace]) -> None:
    read = written(report_opened(opened(traces[0]), ["Attention"], Frame(theme="dark")))
    assert len(read.figures) == len(BY_PAGE["Attention"])
    for panel in BY_PAGE["Attention"]:
        assert panel.title in read.text
        assert panel.question.removesuffix(" Click one.") in read.text
        assert all(item in read.text for item in panel.about if isinstance(item, str))
    assert "? Click " not in read.text  # nothing in the file would answer
    assert "2026-11-30 at 17:05 UTC with dashapp" in read.text
    assert traces[0].fingerprint in read.text
    assert "temperature 0.8" in read.text
    assert ("html", "dark") in [(tag, named.get("data-bs-theme")) for tag, named in read.elements]


@pytest.mark.usefixtures("context")
def test_a_figure_is_the_panels_own(traces: tuple[Trace, Trace]) -> None:
    """Of layer 1, head 1: all that `draw` gives, and softmax(q kᵀ / √d) of the trace by another route, in float64."""
    report = report_asked(page_asked(traces[0], "Attention", ["head-pattern"]))
    (figure,) = written(report).figures
    view = report.entries[0].view
    assert view is not None
    assert figure == json.loads(draw(PANELS["head-pattern"], traces[0], view).figure.to_json())
    q, k = (part[1, 1].astype(np.float64) for part in (traces[0].q, traces[0].k))
    scores = np.where(np.tri(len(q), dtype=bool), q @ k.T / np.sqrt(traces[0].config.d_head), -np.inf)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    # the figure holds float32: 24 bits of a number up to 1, after a softmax over few terms
    np.testing.assert_allclose(np.nan_to_num(numbers(figure["data"][0]["z"])), weights, rtol=2e-5, atol=1e-7)


@pytest.mark.usefixtures("context")
def test_compare_has_the_pairs_and_a_panel_for_both(traces: tuple[Trace, Trace]) -> None:
    read = written(report_opened(opened(*traces), ["Compare"], Frame(theme="light")))
    assert len(read.figures) == len(PAIR_PANELS) + 2
    assert "Prompt a" in read.text
    assert "Prompt b" in read.text


@pytest.mark.usefixtures("context")
def test_what_has_not_been_computed_is_said(traces: tuple[Trace, Trace]) -> None:
    read = written(report_opened(opened(*traces), ["Compare"], Frame(theme="light")))
    assert "it needs a longer computation, Patching, that had not been done" in read.text


@pytest.mark.usefixtures("context")
def test_a_panel_that_shows_nothing_says_why(traces: tuple[Trace, Trace]) -> None:
    prompts = opened(traces[0])
    entry = Entry(page="Attention", panel=PANELS["head-grid"], slot="a", view=None, why=f"Because {NASTY}")
    read = written(Report(prompts=prompts, entries=(entry,), frame=Frame(theme="light")))
    assert f"Because {NASTY}" in read.text
    assert read.figures == []


@pytest.mark.usefixtures("context")
def test_nothing_that_a_prompt_says_becomes_markup(model_folder: Path, settings: Settings) -> None:
    model: GPT2 = dashapp.load(model_folder, settings=settings)
    prompt = opened(dashapp.trace(model, NASTY, settings=settings))
    read = written(report_opened(prompt, ["Generation", "Embeddings"], Frame(theme="light")))
    assert [tag for tag, _ in read.elements if tag == "b"] == []
    assert len(read.scripts) == len(read.figures) + 6  # names, what was selected, and the four that run
    assert "".join(prompt[0].trace.token_texts[1:]) == NASTY


@pytest.mark.usefixtures("context")
def test_a_run_that_came_by_a_file_is_called_so(traces: tuple[Trace, Trace]) -> None:
    store = Source.here().store
    store.put_file(traces[0], "a" * 64)
    trace = Source.here().trace("a" * 64)
    assert trace is not None
    says = "From a file; not computed here."
    told = [
        "".join(pieces(report_opened(opened(each), ["Generation"], Frame(theme="light")), now=NOW))
        for each in (trace, traces[0])
    ]
    store.discard("a" * 64)
    assert [says in each for each in told] == [True, False]


@pytest.mark.usefixtures("context")
def test_only_our_scripts_may_run_and_nothing_may_be_fetched(traces: tuple[Trace, Trace]) -> None:
    read = written(report_opened(opened(traces[0]), ["Generation"], Frame(theme="light")))
    (policy,) = [named["content"] for tag, named in read.elements if tag == "meta" and "http-equiv" in named]
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    running = [text for named, text in read.scripts if "type" not in named]
    assert [b64encode(sha256(text.encode()).digest()).decode() in policy for text in running] == [True] * 4
    assert all("src" not in named and "href" not in named for _, named in read.elements)
    assert "unsafe-eval" not in policy
    assert not re.search(r"script-src[^;]*unsafe-inline", policy)


@pytest.mark.usefixtures("context")
def test_names_of_all_tokens_are_there_only_where_a_figure_needs_them(traces: tuple[Trace, Trace]) -> None:
    for page, has_names in (("Embeddings", True), ("Activations", False)):
        read = written(report_opened(opened(traces[0]), [page], Frame(theme="light")))
        assert [named.get("id") for named, _ in read.scripts].count("names") == has_names


def test_the_command_line_knows_the_pages() -> None:
    assert tuple(page.lower() for page in PAGES) == REPORT_PAGES


# What a browser asks -------------------------------------------------------------------------------------------------


def test_a_page_leaves_by_a_plain_route(traces: tuple[Trace, Trace], client: FlaskClient) -> None:
    answer = client.post("/report", json=page_asked(traces[0], "Attention", ["head-grid", "head-pattern"]))
    assert answer.mimetype == "application/octet-stream"
    assert f'filename="attention-{traces[0].key[:8]}.html"' in answer.headers["Content-Disposition"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.is_streamed
    read = Read(answer.get_data(as_text=True))
    assert len(read.figures) == 2
    assert "layer 1, head 1" in read.text


@pytest.mark.parametrize("place", ["prompt", "panel"])
def test_a_trace_that_is_gone_is_said_before_anything_is_drawn(
    traces: tuple[Trace, Trace], client: FlaskClient, place: str
) -> None:
    asked = page_asked(traces[0], "Attention", ["head-grid"])
    (asked["prompts"]["a"] if place == "prompt" else asked["panels"][0]["view"])["key"] = "0" * 64
    assert client.post("/report", json=asked).get_json() == {"fault": str(TraceGone())}


@pytest.mark.usefixtures("context")
def test_what_is_asked_is_what_is_there(traces: tuple[Trace, Trace]) -> None:
    report = report_asked(page_asked(traces[0], "Attention", ["head-grid"]))
    assert report.pages == ["Attention"]
    assert report.prompts[0].selected["head"] == 1
    assert report.prompts[0].settings == SamplingSettings(max_new_tokens=0)


@pytest.mark.parametrize(
    "change",
    [
        {"page": "Secrets"},
        {"page": None},
        {"looks": {}},
        {"looks": {"theme": "blue", "text": 1, "units": "bits"}},
        {"prompts": {}},
        {"prompts": None},
        {"prompts": {"a": {"key": 1}}},
        {"panels": []},
        {"panels": "all"},
        {"panels": [{"panel": "no-such", "slot": "a", "view": None, "why": ""}]},
        {"panels": [{"panel": "head-grid", "slot": "c", "view": None, "why": ""}]},
        {"panels": [{"panel": "head-grid", "slot": "a", "view": None, "why": "x" * 501}]},
        {"panels": [{"panel": "head-grid", "slot": "a", "view": None, "why": ""}] * 2},
        {"selected": {"layer": 99}},
        {"n_prompt": -1},
        {"n_prompt": None},
        {"settings": {"temperature": -1}},
        {"view": {"pos": 10_000}},
        {"view": {"knobs": {}}},
        {"view": {"theme": None}},
    ],
)
def test_what_no_page_asks_is_refused(traces: tuple[Trace, Trace], client: FlaskClient, change: dict[str, Any]) -> None:
    asked = page_asked(traces[0], "Attention", ["token-attention"])
    for name, value in change.items():
        if name == "view":
            asked["panels"][0]["view"] |= value
        elif name in asked:
            asked[name] = value
        else:
            asked["prompts"]["a"][name] = value
    assert client.post("/report", json=asked).status_code == 400


@pytest.mark.parametrize("body", [None, [], "x", 7])
def test_what_is_no_question_is_refused(client: FlaskClient, body: object) -> None:
    assert client.post("/report", json=body).status_code == 400


@pytest.mark.usefixtures("context")
def test_the_page_model_tells_its_diagram_facts_and_checks(traces: tuple[Trace, Trace]) -> None:
    read = written(report_opened(opened(traces[0]), ["Model"], Frame(theme="light")))
    text = read.text
    config = traces[0].config
    assert f"{config.n_params:,}" in text  # facts
    assert "residual stream" in text
    assert f"{traces[0].n_tokens} × {config.d_model}" in text.replace(" ", " ")  # shapes of the diagram
    assert "Largest difference" in text  # the table of checks
    assert not [attributes for tag, attributes in read.elements if tag == "a"]  # links of the app lead nowhere here
    assert [tag for tag, _attributes in read.elements].count("table") > 5


@pytest.mark.usefixtures("context")
def test_two_prompts_of_one_model_tell_it_once(traces: tuple[Trace, Trace]) -> None:
    read = written(report_opened(opened(*traces), ["Model"], Frame(theme="dark")))
    assert sum("architecture" in (attributes.get("class") or "") for _tag, attributes in read.elements) == 1


def test_components_become_html_without_what_only_an_app_has() -> None:
    part = html.Section([html.H2("a < b", id="x"), None, 3, dcc.Link("seen", href="/attention")], className="panel")
    assert html_of(part, n_tokens=5) == '<section class="panel"><h2>a &lt; b</h2>3seen</section>'
    counted = html.Span("n", id=ids.n_tokens(2))
    assert html_of([counted, Fixed(html="<b>x</b>")], n_tokens=1200) == "1,200<b>x</b>"
    with pytest.raises(ValueError, match="Graph is no element"):
        html_of(dcc.Graph(), n_tokens=1)
