"""What the repository promises about its packages: pinned, explained, used, and shipped whole."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from functools import cache
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
OUR_ROOMS = ("dashapp", "pages")
ALL_ROOMS = (*OUR_ROOMS, "benchmarks", "scripts", "tests", "training")
TOOLS_OF_THE_ENVIRONMENT = {"pip", "wheel", "dashapp"}
"""Installed, but not by us: what made the virtual environment, and the project itself."""
GPU_BUILDS = ("cuda-", "nvidia-", "triton")
"""They come with the GPU build of torch, which pins each of them itself."""
REGISTRY_HOSTS = re.compile(
    "|".join(
        [r"pythonhosted\." + "org", r"pypi\." + "org", r"registry\." + "npm", "npmjs" + r"\.", r"deb\." + "debian"]
    )
    + r"|download\."
    + r"pytorch|registry\."
    + r"yarnpkg|docker\."
    + "io|ghcr"
    + r"\.io|mirror\."
    + "gcr",
    re.IGNORECASE,
)


def normal(name: str) -> str:
    """A distribution's name as the packaging standard compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def tracked_files() -> list[Path]:
    """The files that git tracks, which a clean clone has."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def constraint_lines() -> list[str]:
    return (ROOT / "constraints.txt").read_text().splitlines()


def constraints() -> dict[str, str]:
    """Distribution → exact version."""
    return {normal(name): version for name, version in (line.split("==") for line in constraint_lines())}


def direct_dependencies(*groups: str) -> set[str]:
    """The distributions that pyproject.toml names: those of the app, or of its extras named in `groups`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    requirements = [line for group in groups for line in extras[group]] if groups else project["dependencies"]
    return {normal(re.split(r"[<>=!~\[; ]", line)[0]) for line in requirements}


def all_direct_dependencies() -> set[str]:
    return direct_dependencies() | direct_dependencies("scale", "test")


def reasons() -> dict[str, str]:
    """Distribution → its line in docs/dependencies.md."""
    rows = re.findall(r"^\| ([\w.-]+) \| (.+) \|$", (ROOT / "docs" / "dependencies.md").read_text(), re.MULTILINE)
    return {normal(name): why for name, why in rows if name not in {"package", "---"}}


@cache
def imported_distributions(rooms: tuple[str, ...]) -> set[str]:
    """The third-party distributions that the Python files of `rooms` import, inside functions too."""
    modules: set[str] = set()
    for path in (path for room in rooms for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.split(".")[0])
    owners = packages_distributions()
    third_party = modules - set(sys.stdlib_module_names) - set(ALL_ROOMS)
    return {normal(owner) for module in third_party for owner in owners.get(module, [module])}


def test_constraints_hold_names_and_versions_only() -> None:
    not_a_pin = [line for line in constraint_lines() if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line)]
    assert not_a_pin == []


def test_torch_is_exactly_the_version_the_numbers_were_made_with() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "torch==2.13.0" in project["dependencies"]
    assert constraints()["torch"] == "2.13.0"


def test_every_direct_dependency_is_pinned_and_explained() -> None:
    named = all_direct_dependencies() | direct_dependencies("load")
    assert named <= constraints().keys()
    assert named == reasons().keys()


def test_a_dependency_is_imported_or_says_why_not() -> None:
    said_unused = {name for name, why in reasons().items() if why.startswith("Not imported")}
    used = all_direct_dependencies() & imported_distributions(ALL_ROOMS)
    unused = all_direct_dependencies() - used
    assert unused - said_unused == set(), "docs/dependencies.md must say 'Not imported: why' of these, or drop them"
    assert said_unused - unused == set(), "docs/dependencies.md says 'Not imported' of these, and they are imported"


def test_what_the_app_imports_is_a_direct_dependency_of_the_app() -> None:
    assert imported_distributions(OUR_ROOMS) <= direct_dependencies() | direct_dependencies("scale")


def test_what_the_tests_import_is_a_direct_dependency() -> None:
    assert imported_distributions(ALL_ROOMS) <= all_direct_dependencies() | direct_dependencies("load")


def test_installed_versions_are_the_pinned_ones() -> None:
    installed = {normal(each.metadata["Name"]): each.version.split("+")[0] for each in distributions()}
    pinned = constraints()
    assert all_direct_dependencies() <= installed.keys()
    ours = {name for name in installed if name not in TOOLS_OF_THE_ENVIRONMENT and not name.startswith(GPU_BUILDS)}
    assert {name: installed[name] for name in ours} == {name: pinned.get(name, "not pinned") for name in ours}


def test_no_file_names_the_host_of_a_package_registry() -> None:
    found = {
        str(path.relative_to(ROOT)): match.group()
        for path in tracked_files()
        if (match := REGISTRY_HOSTS.search(path.read_bytes().decode("utf-8", errors="replace")))
    }
    assert found == {}


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The files inside a wheel built from the tracked files, with the installed setuptools: no network."""
    source = tmp_path_factory.mktemp("source")
    for path in tracked_files():
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    built = subprocess.run(
        [*command, "-w", str(source / "wheel"), str(source)], check=False, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = (source / "wheel").glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_wheel_ships_every_tracked_file_of_the_app_and_its_pages(wheel_names: set[str]) -> None:
    ours = {str(path.relative_to(ROOT)) for path in tracked_files() if path.relative_to(ROOT).parts[0] in OUR_ROOMS}
    assert ours - wheel_names == set()


def test_wheel_ships_nothing_but_the_app_and_its_pages(wheel_names: set[str]) -> None:
    rooms = {name.split("/")[0] for name in wheel_names if ".dist-info/" not in name}
    assert rooms <= set(OUR_ROOMS)


# The container -------------------------------------------------------------------------------------------------------


def test_a_service_of_ours_has_no_more_rights_than_it_needs() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    ours = {name: service for name, service in services.items() if service.get("image") == "dashapp"}
    assert "web" in ours
    for name, service in ours.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "cap_add", "user", "network_mode", "pid", "devices"} & service.keys(), name
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_without_settings_one_service_starts_for_this_machine_alone() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert [name for name, service in services.items() if "profiles" not in service] == ["web"]
    assert services["web"]["ports"] == ["127.0.0.1:8050:8050"]
    assert "/healthz" in services["web"]["healthcheck"]["test"][-1]


def test_every_path_that_the_image_writes_to_is_a_volume_or_goes_with_the_container() -> None:
    environ = dict(re.findall(r"^(?:ENV|   ) (\w+)=(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert environ["TMPDIR"] == "/tmp"
    kept = ("HOME", "HF_HOME", "NUMBA_CACHE_DIR", "DASHAPP_CACHE_DIR", "DASHAPP_MODELS_DIR")
    assert {name for name in kept if environ[name].split("/")[1] == "data"} == set(kept)
    web = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["web"]
    assert web["volumes"] == ["data:/data"]
    assert [mount.split(":")[0] for mount in web["tmpfs"]] == ["/tmp"]


def test_the_image_runs_as_nobody_of_importance_and_holds_no_secret() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001:10001"]
    assert not [line for line in lines if re.search(r"SECRET|PASSWORD|TOKEN", line)]
    assert not [line for line in lines if line.startswith("ADD ")], "COPY fetches and unpacks nothing"
