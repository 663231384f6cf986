"""Run every check and test, then say in plain words what passed, failed and was skipped, and why.

`make test` calls this. Each step runs even if an earlier one failed. Knows the tools and their reports; knows nothing
of what they test.

The last line counts tests: pytest's and Node's. A step that fails without a failed test of its own (format, lint,
types, a test file that cannot be read) counts as one failure, so that the line is never green over a red step.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TYPED_ROOMS = ("dashapp", "pages", "training", "benchmarks", "scripts")
NO_TESTS_COLLECTED = 5
"""pytest's exit status when no test bears the marker asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one step came to: tests counted, and each reason for a skip with the number of tests that gave it."""

    failed_step: bool
    n_passed: int = 0
    n_failed: int = 0
    skips: Counter[str] = field(default_factory=Counter)
    note: str = ""

    @property
    def n_failures(self) -> int:
        """Failed tests, or one for a step that failed without any."""
        return max(self.n_failed, int(self.failed_step))

    @property
    def verdict(self) -> str:
        """The word in the summary's first column; `none` means that there is nothing of this kind to run."""
        if self.failed_step:
            return "FAILED"
        if self.skips and not self.n_passed:
            return "skipped"
        return "none" if self.note else "passed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the summary and the function that makes it."""

    name: str
    title: str
    run: Callable[[], Outcome]
    runs_tests: bool = True


def run_command(*command: str | Path) -> int:
    """The exit status of a command run in the repository's root, its output passed through."""
    print("$", *(os.path.relpath(part, ROOT) if isinstance(part, Path) else part for part in command), flush=True)
    return subprocess.run([str(part) for part in command], cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode


def run_check(module: str, *arguments: str) -> Outcome:
    """A checker of this environment: it passes or it does not."""
    return Outcome(failed_step=run_command(sys.executable, "-m", module, *arguments) != 0)


def run_types() -> Outcome:
    """Mypy over the rooms that hold Python."""
    rooms = [room for room in TYPED_ROOMS if any((ROOT / room).rglob("*.py"))]
    return run_check("mypy", *rooms)


def run_pytest(markers: str) -> Outcome:
    """The tests that `markers` selects, counted from pytest's own report."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "pytest.xml"
        status = run_command(sys.executable, "-m", "pytest", "-q", "-m", markers, f"--junitxml={report}")
        if status == NO_TESTS_COLLECTED:
            return Outcome(failed_step=False, note="no test of this kind yet")
        return read_pytest_report(report, failed_step=status != 0)


def read_pytest_report(report: Path, *, failed_step: bool) -> Outcome:
    """Counts and skip reasons of a JUnit file; a test that fails in its body and its teardown is one failure.

    A missing or broken file means that pytest was killed: the step failed, with no test to show for it.
    """
    try:
        cases = list(ET.parse(report).iter("testcase"))
    except (FileNotFoundError, ET.ParseError):
        return Outcome(failed_step=True, note="pytest ended before it wrote its report")
    reasons = [skip.get("message", "no reason given") for case in cases for skip in case.iter("skipped")]
    failed = {
        (case.get("classname"), case.get("name")) for case in cases if case.findall("failure") or case.findall("error")
    }
    tests = {(case.get("classname"), case.get("name")) for case in cases}
    return Outcome(
        failed_step=failed_step,
        n_passed=len(tests) - len(failed) - len(reasons),
        n_failed=len(failed),
        skips=Counter(reasons),
    )


def run_node() -> Outcome:
    """The JavaScript tests, counted from Node's TAP report."""
    files = sorted((ROOT / "tests" / "js").rglob("*.test.*js"))
    if not files:
        return Outcome(failed_step=False, note="no test of this kind yet")
    node = shutil.which("node")
    if node is None:
        return Outcome(failed_step=False, skips=Counter({"node is not installed (Debian: nodejs)": len(files)}))
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "node.tap"
        reporters = ["--test-reporter=spec", "--test-reporter-destination=stdout"]
        reporters += ["--test-reporter=tap", f"--test-reporter-destination={report}"]
        status = run_command(node, "--test", *reporters, *files)
        return read_tap_report(report.read_text() if report.exists() else "", failed_step=status != 0)


def read_tap_report(report: str, *, failed_step: bool) -> Outcome:
    """Counts and skip reasons of Node's TAP report: its closing `# pass 3` lines, and `ok 3 - name # SKIP reason`."""
    counts = {word: int(n) for word, n in re.findall(r"^# (pass|fail|cancelled|skipped|todo) (\d+)$", report, re.M)}
    if not counts:
        return Outcome(failed_step=True, note="node ended before it wrote its report")
    reasons = re.findall(r"^\s*(?:not )?ok \d+ .*# (?:SKIP|TODO) ?(.*)$", report, re.M)
    return Outcome(
        failed_step=failed_step,
        n_passed=counts["pass"],
        n_failed=counts["fail"] + counts["cancelled"],
        skips=Counter(reason or "no reason given" for reason in reasons),
    )


def steps(*, with_slow: bool) -> list[Step]:
    """All steps, quickest first."""
    slow = "" if with_slow else " and not slow"
    return [
        Step(
            name="format",
            title="format (ruff)",
            run=lambda: run_check("ruff", "format", "--check", "."),
            runs_tests=False,
        ),
        Step(name="lint", title="lint (ruff)", run=lambda: run_check("ruff", "check", "."), runs_tests=False),
        Step(name="types", title="types (mypy --strict)", run=run_types, runs_tests=False),
        Step(name="python", title="Python tests", run=lambda: run_pytest(f"not reference and not browser{slow}")),
        Step(name="reference", title="reference tests", run=lambda: run_pytest(f"reference and not browser{slow}")),
        Step(name="js", title="JavaScript tests", run=run_node),
        Step(name="browser", title="browser tests", run=lambda: run_pytest(f"browser{slow}")),
    ]


def run_step(step: Step) -> tuple[Step, Outcome, float]:
    """The step, its outcome and its duration in seconds, after a heading."""
    print(f"\n── {step.title}", flush=True)
    start = time.monotonic()
    outcome = step.run()
    return step, outcome, time.monotonic() - start


def summary(results: Sequence[tuple[Step, Outcome, float]], *, with_slow: bool) -> str:
    """The closing table: a line a step, a line a reason, and the counts alone on the last line."""
    lines = ["", "── summary"]
    for step, outcome, duration_s in results:
        counts = outcome.note
        if outcome.n_passed or outcome.n_failed or outcome.skips:
            counts = f"{outcome.n_passed} passed, {outcome.n_failed} failed, {outcome.skips.total()} skipped"
        lines.append(f"{outcome.verdict:8} {step.title:24} {duration_s:6.1f} s   {counts}".rstrip())
        lines.extend(f"{'':8} skipped {n}: {reason}" for reason, n in sorted(outcome.skips.items()))
    if not with_slow and any(step.runs_tests for step, _, _ in results):
        lines.append("Left out: the slow suite, which `make test-all` runs.")
    outcomes = [outcome for _, outcome, _ in results]
    n_passed = sum(outcome.n_passed for outcome in outcomes)
    n_failed = sum(outcome.n_failures for outcome in outcomes)
    n_skipped = sum(outcome.skips.total() for outcome in outcomes)
    return "\n".join([*lines, f"{n_passed} passed, {n_failed} failed, {n_skipped} skipped"])


def main() -> int:
    """Exit status 0 when every step passed and, with --no-skips, nothing was skipped."""
    known = [step.name for step in steps(with_slow=True)]
    parser = argparse.ArgumentParser(description="Run every check and test and say plainly how it went.")
    parser.add_argument("--slow", action="store_true", help="also run the slow suite")
    parser.add_argument("--no-skips", action="store_true", help="fail if anything was skipped")
    parser.add_argument("--only", default=",".join(known), help="steps to run, with commas; default: %(default)s")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := sorted(set(chosen) - set(known)):
        parser.error(f"no such step: {', '.join(unknown)}. The steps are {', '.join(known)}.")
    results = [run_step(step) for step in steps(with_slow=options.slow) if step.name in chosen]
    skipped = options.no_skips and any(outcome.skips for _, outcome, _ in results)
    text = summary(results, with_slow=options.slow)
    if skipped:
        print("\nSomething was skipped, and --no-skips does not allow it: install what the summary names.")
    print(text, flush=True)
    return int(skipped or any(outcome.failed_step for _, outcome, _ in results))


if __name__ == "__main__":
    sys.exit(main())
