"""Documents that must not fall behind the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from dashapp.cli import _parser, main
from dashapp.model.sites import SITES
from dashapp.settings import flag, setting_names, variable
from dashapp.traces.names import TENSORS

ROOT = Path(__file__).parents[1]
GLOSSARY = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
AXES = {axis for axes in [*SITES.values(), *(row.axes for row in TENSORS.values())] for axis in axes}


def table_rows(text: str) -> dict[str, str]:
    """Second column of each table row by each name in backticks of the first."""
    rows = re.findall(r"^\| (`[^|]*) \| ([^|]*) \|", text, flags=re.MULTILINE)
    return {name: second for first, second in rows for name in re.findall(r"`([^`]+)`", first)}


@pytest.mark.parametrize("axis", sorted(AXES))
def test_every_axis_word_is_in_the_glossary(axis: str) -> None:
    assert axis in table_rows(GLOSSARY.partition("## Activations")[0])


@pytest.mark.parametrize("name", SITES)
def test_every_activation_is_in_the_glossary_with_its_shape(name: str) -> None:
    activations = GLOSSARY.partition("## Activations")[2].partition("## What a trace stores")[0]
    assert table_rows(activations)[name].split() == list(SITES[name])


@pytest.mark.parametrize("name", TENSORS)
def test_every_stored_tensor_is_in_the_glossary_with_its_shape(name: str) -> None:
    stored = GLOSSARY.partition("## What a trace stores")[2]
    assert table_rows(stored)[name].split() == list(TENSORS[name].axes)


@pytest.mark.parametrize("name", setting_names())
def test_every_setting_is_in_the_readme(name: str) -> None:
    assert f"`{variable(name)}`" in README
    assert f"`{flag(name)}`" in README


def test_every_command_is_in_the_readme() -> None:
    commands = next(action.choices for action in _parser()._actions if action.choices)
    assert commands is not None
    assert [name for name in commands if f"dashapp {name}" not in README] == []


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_python_of_the_readme_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DASHAPP_CACHE_DIR", str(tmp_path))
    (code,) = blocks("python")
    names: dict[str, object] = {}
    exec(code, names)
    assert {"model", "trace", "run"} <= names.keys()


def test_commands_of_the_readme_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All but `serve` and `worker`, which do not end: other tests start them."""
    monkeypatch.setenv("DASHAPP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("dashapp ")]
    commands = [shlex.split(line, comments=True)[1:] for line in lines]
    ran = [main(command) for command in commands if command[0] not in ("serve", "worker")]
    assert ran == [0] * (len(commands) - 2)
    assert (tmp_path / "cat.trace").is_file()


def test_make_targets_of_the_readme_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = set(re.findall(r"`?make ([a-z-]+)", README))
    assert {"run", "test"} <= named <= {*targets}
