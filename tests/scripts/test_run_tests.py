"""The summary that `make test` ends with: what it counts and when it fails."""

from collections import Counter
from pathlib import Path

from scripts.run_tests import Outcome, Step, read_pytest_report, read_tap_report, summary

PYTEST_REPORT = """<?xml version="1.0"?>
<testsuites><testsuite>
  <testcase classname="tests.a" name="test_one"/>
  <testcase classname="tests.a" name="test_two"><failure message="no"/></testcase>
  <testcase classname="tests.a" name="test_two"><error message="failed on teardown"/></testcase>
  <testcase classname="tests.b" name="test_three"><skipped message="no Chromium here"/></testcase>
  <testcase classname="tests.b" name="test_four"><skipped message="no Chromium here"/></testcase>
</testsuite></testsuites>
"""

TAP_REPORT = """TAP version 13
ok 1 - adds
ok 2 - draws # SKIP no canvas
not ok 3 - subtracts
1..3
# tests 3
# pass 1
# fail 1
# cancelled 0
# skipped 1
# todo 0
"""


def ended(name: str, outcome: Outcome) -> tuple[Step, Outcome, float]:
    return Step(name=name, title=name, run=lambda: outcome), outcome, 0.1


def test_a_test_that_fails_in_body_and_teardown_is_one_failure(tmp_path: Path) -> None:
    report = tmp_path / "pytest.xml"
    report.write_text(PYTEST_REPORT)
    outcome = read_pytest_report(report, failed_step=True)
    assert (outcome.n_passed, outcome.n_failed) == (1, 1)
    assert outcome.skips == Counter({"no Chromium here": 2})


def test_a_run_that_ended_before_its_report_is_a_failure(tmp_path: Path) -> None:
    assert read_pytest_report(tmp_path / "absent.xml", failed_step=False).n_failures == 1
    assert read_tap_report("", failed_step=False).n_failures == 1


def test_node_report_is_counted_with_the_reasons_of_its_skips() -> None:
    outcome = read_tap_report(TAP_REPORT, failed_step=True)
    assert (outcome.n_passed, outcome.n_failed) == (1, 1)
    assert outcome.skips == Counter({"no canvas": 1})


def test_last_line_of_the_summary_sums_the_tests_and_the_checks_that_failed() -> None:
    lint = ended("lint", Outcome(failed_step=True))
    python = ended("python", Outcome(failed_step=False, n_passed=7, skips=Counter({"no Redis here": 2})))
    text = summary([lint, python], with_slow=False)
    assert text.splitlines()[-1] == "7 passed, 1 failed, 2 skipped"
    assert "skipped 2: no Redis here" in text
    assert "make test-all" in text


def test_a_kind_without_tests_is_neither_passed_nor_skipped() -> None:
    assert Outcome(failed_step=False, note="no test of this kind yet").verdict == "none"
    assert Outcome(failed_step=False, skips=Counter({"no node here": 3})).verdict == "skipped"
