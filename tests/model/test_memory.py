from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from dashapp.errors import ModelTooLarge
from dashapp.model.memory import available_memory, memory_needed, refuse_too_large

GB = 10**9


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 8 GB free; tests put control groups into the folder."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8 * GB))
    (tmp_path / "proc" / "self").mkdir(parents=True)
    return tmp_path


def put_group(machine: Path, folder: str, **files: str) -> None:
    (machine / "cgroup" / folder).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (machine / "cgroup" / folder / name.replace("__", ".")).write_text(content + "\n")


def set_own_group(machine: Path, lines: str) -> None:
    (machine / "proc" / "self" / "cgroup").write_text(lines + "\n")


def available_on(machine: Path) -> int:
    return available_memory(proc=machine / "proc", cgroups=machine / "cgroup")


def test_without_control_groups_the_machines_memory_counts(machine: Path) -> None:
    assert available_on(machine) == 8 * GB


def test_a_groups_limit_counts_when_it_leaves_less(machine: Path) -> None:
    set_own_group(machine, "0::/")
    put_group(machine, "", memory__max=str(3 * GB), memory__current=str(GB))
    assert available_on(machine) == 2 * GB


def test_file_pages_that_can_go_count_as_free(machine: Path) -> None:
    set_own_group(machine, "0::/")
    stat = f"anon 5\ninactive_file {GB // 2}"
    put_group(machine, "", memory__max=str(3 * GB), memory__current=str(GB), memory__stat=stat)
    assert available_on(machine) == 2.5 * GB


def test_the_tightest_of_nested_groups_counts(machine: Path) -> None:
    set_own_group(machine, "0::/outer/inner")
    put_group(machine, "outer", memory__max=str(2 * GB), memory__current=str(GB))
    put_group(machine, "outer/inner", memory__max="max", memory__current=str(GB))
    assert available_on(machine) == GB


def test_a_group_without_a_limit_or_with_more_does_not_count(machine: Path) -> None:
    set_own_group(machine, "0::/")
    put_group(machine, "", memory__max="max", memory__current="5")
    assert available_on(machine) == 8 * GB
    put_group(machine, "", memory__max=str(100 * GB), memory__current="5")
    assert available_on(machine) == 8 * GB


def test_a_group_over_its_limit_leaves_nothing(machine: Path) -> None:
    set_own_group(machine, "0::/")
    put_group(machine, "", memory__max="10", memory__current="20")
    assert available_on(machine) == 0


def test_groups_of_the_first_version_count_too(machine: Path) -> None:
    set_own_group(machine, "5:cpu,cpuacct:/x\n4:memory:/docker/abc")
    put_group(machine, "memory/docker/abc", memory__limit_in_bytes=str(2 * GB), memory__usage_in_bytes=str(GB))
    assert available_on(machine) == GB


def test_this_machine_has_some_memory_left() -> None:
    assert 0 < available_memory() <= psutil.virtual_memory().total


def test_half_as_many_bytes_a_parameter_need_half_the_weights() -> None:
    assert memory_needed(GB, "float32") - memory_needed(GB, "bfloat16") == 2 * GB
    assert memory_needed(GB, "float64") - memory_needed(GB, "float32") == 4 * GB


def test_a_model_that_does_not_fit_is_refused_with_both_numbers() -> None:
    with pytest.raises(ModelTooLarge, match=r"'gpt2-xl' needs about 6,430 MB and 3,000 MB are free") as refusal:
        refuse_too_large("gpt2-xl", 1_557_611_200, "float32", available_bytes=3 * GB)
    assert (refusal.value.needed_bytes, refusal.value.available_bytes) == (6_430_444_800, 3 * GB)
    refuse_too_large("gpt2-xl", 1_557_611_200, "float32", available_bytes=6_430_444_800)
