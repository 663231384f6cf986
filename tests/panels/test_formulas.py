"""Formulas are MathML that every browser draws, and each is said in words."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from dashapp.panels.formulas import FORMULAS, Formula, markup

# Elements and attributes of MathML Core; browsers ignore what is beyond it.
CORE = {"math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "msub", "msup", "msubsup"} | {
    "munder",
    "mover",
    "munderover",
}
ATTRIBUTES = {"displaystyle", "aria-label", "aria-hidden", "form", "fence", "stretchy", "width"}


def elements(name: str) -> list[ET.Element]:
    whole = ET.fromstring(f"<root>{markup(name)}</root>")
    return [element for div in whole for element in div.iter() if element is not div]


def tag(element: ET.Element) -> str:
    return element.tag.removeprefix("{http://www.w3.org/1998/Math/MathML}")


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_is_mathml_core_and_nothing_else(name: str) -> None:
    assert {tag(element) for element in elements(name)} <= CORE
    assert {attribute for element in elements(name) for attribute in element.attrib} <= ATTRIBUTES
    assert not any("\\" in (element.text or "") for element in elements(name)), "a command that was not understood"


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_is_heard_once_in_words(name: str) -> None:
    lines = [element for element in elements(name) if tag(element) == "math"]
    assert len(lines) == len(FORMULAS[name].lines)
    assert [line.get("aria-label") for line in lines if not line.get("aria-hidden")] == [FORMULAS[name].words]
    assert not re.search(r"[\\{}_^]", FORMULAS[name].words)


def test_a_formula_keeps_its_letters_numbers_and_words() -> None:
    text = "".join(element.text or "" for element in elements("gelu-tanh"))
    assert text == "GELU(x)=x2(1+tanhu)u=2/π(x+0.044715x3)"
    text = "".join(element.text or "" for element in elements("attention"))
    assert "A=softmax(QK⊤dhead+M)Z=AV" in text


def test_an_unknown_formula_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"'atention' is no formula. Known, nearest first: 'attention'"):
        Formula("atention")


def test_a_formula_becomes_a_component_that_the_browser_has() -> None:
    sent = Formula("entropy").drawn().to_plotly_json()
    assert sent["namespace"] == "dashapp_fixed"
    assert markup("entropy") in sent["props"]["html"]
