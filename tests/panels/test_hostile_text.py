"""Whatever a prompt holds, every figure shows it as text: no markup for Plotly, nothing that turns or hides a line.

Around figures everything is text of the document by itself, which `tests/browser/test_failures.py` tries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

import dashapp
from dashapp.errors import OtherPlaces
from dashapp.figures.tokens import INVISIBLE
from dashapp.model.config import GPT2Config
from dashapp.model.tokenizer import encode
from dashapp.panels.catalogue import PAIR_PANELS, PANELS
from dashapp.panels.panel import Drawn, Panel, draw
from dashapp.traces.record import Trace
from tests.doubles import tiny_model

PROMPTS = {
    "markup": "<b>bold</b> <br><a href='javascript:x()'>a</a> <sub>",
    "script": "</script><script>alert(1)</script><img src=x onerror=x>",
    "entities": "&lt;i&gt; &amp;&#60; & <|endoftext|> %{x} %{customdata}",
    "mathjax": "$x^2$ \\(y\\) $$\\require{x}$$ *a* _b_ `c` [d](e) # f",
    "direction": "\u202eevil\u202c \u2066a\u2069 \u061c مرحبا שלום \u200f",
    "hidden": "a\u200bb\u200c\ufeffc\u2060d\x00e\x1b[31mf\x7f\u0085g\r\n\t",
}
MODEL = GPT2Config(n_layer=2, n_head=3, d_model=12, d_mlp=7, n_ctx=64)

# What figures of ours are written with. Anything else between angle brackets came from somebody's text.
OUR_TAGS = re.compile(r"</?(?:b|i|br|sub|sup|extra)>|<span style=[^<>]*>|</span>")
OUR_ENTITIES = re.compile(r"&(?:amp|lt|gt|nbsp|thinsp|#\d+);")
CONTROLS = {*range(0x20), *range(0x7F, 0xA0)} - {ord("\n")}


@pytest.fixture(scope="module")
def traces() -> dict[str, Trace]:
    model = tiny_model(MODEL)
    return {name: dashapp.trace(model, prompt, cache=False) for name, prompt in PROMPTS.items()}


def views(panel: Panel, trace: Trace, other: Trace | None = None) -> Iterator[dict[str, Any]]:
    """As many views as the longest knob has options: each turns all knobs, and looks from another token."""
    angle, ampersand = (int(encode(character, bos=False)[0]) for character in "<&")
    for i in range(max([len(knob.options) for knob in panel.knobs], default=2)):
        pos = (trace.n_tokens - 1 - i) % trace.n_tokens
        yield {
            "theme": "light",
            "text": 1,
            "narrow": bool(i % 2),
            "units": "bits",
            "pos": pos,
            "key_pos": pos // 2,
            "layer": i % 2,
            "head": i % 3,
            "neuron": i,
            "target": angle,
            "against": ampersand,
            "n_prompt": trace.n_tokens - 1,
            "branches": None,
            "drawn_with": None,
            "knobs": {knob.name: [*knob.options][i % len(knob.options)] for knob in panel.knobs},
            **({"beside": {"key": "", "pos": min(pos, other.n_tokens - 1), "n_prompt": 1}} if other else {}),
        }


def texts(node: object) -> Iterator[str]:
    """All that a figure may write, wherever it stands; not what Plotly decodes as numbers or a picture."""
    if isinstance(node, dict):
        for name, inner in node.items():
            if name not in ("bdata", "meta", "source"):
                yield from texts(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from texts(inner)
    elif isinstance(node, str):
        yield node


def as_markup(text: str) -> list[str]:
    """What in a text would be read as markup and is not ours."""
    left = OUR_ENTITIES.sub("", OUR_TAGS.sub("", text))
    return [text] if "<" in left or "&" in left else []


def unseen(text: str) -> list[str]:
    """Characters that would hide, or turn what stands around them."""
    return [f"{ord(each):X}" for each in text if ord(each) in INVISIBLE | CONTROLS]


def check(drawn: Drawn) -> None:
    figure = json.loads(drawn.figure.to_json())
    written = [*texts(figure["data"]), *texts(figure["layout"])]
    in_space = {text for trace in figure["data"] if trace["type"] == "scatter3d" for text in trace.get("text", [])}
    assert [text for text in in_space if "<" in text] == [], "there nothing can be escaped, and & is no markup"
    assert [found for text in written if text not in in_space for found in as_markup(text)] == []
    told = [*written, *texts({"said": figure["layout"].get("meta", {})}), drawn.foot]
    assert [(found, text) for text in told for found in unseen(text)] == []


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("name", PANELS)
def test_a_figure_shows_any_text_as_text(traces: dict[str, Trace], name: str, prompt: str) -> None:
    for view in views(PANELS[name], traces[prompt]):
        check(draw(PANELS[name], traces[prompt], view))


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("name", PAIR_PANELS)
def test_a_figure_of_two_prompts_shows_any_text_as_text(traces: dict[str, Trace], name: str, prompt: str) -> None:
    for view in views(PAIR_PANELS[name], traces[prompt], traces["markup"]):
        try:
            drawn = draw(PAIR_PANELS[name], traces[prompt], view, other=traces["markup"])
        except OtherPlaces:  # patterns of prompts of another length
            continue
        check(drawn)


@pytest.mark.parametrize(
    "text", ["<script>", "a <b", "<a href='x'>", "<|endoftext|>", "1 < 2", "AT&T", "<span onclick=x>", "<img src=x>"]
)
def test_text_that_is_not_escaped_would_be_found(text: str) -> None:
    assert as_markup(text)


def test_what_hides_or_turns_would_be_found() -> None:
    assert unseen("a\u202eb\u200bc\x1b\ufeff") == ["202E", "200B", "1B", "FEFF"]
    assert unseen("plain ·↵ text\nמלה") == []
