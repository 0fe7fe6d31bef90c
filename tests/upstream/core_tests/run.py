"""Runs core's own tests with core's classes, then with ours, and compares.

    python -m tests.upstream.core_tests.run [folder] [--suite agents|queries] [--record]

It prints a table, and exits with 1 when something that passes with core's does not pass with ours,
but for what `differences.py` explains. `baseline.json` and `baseline_query.json` are the records.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict, cast
from xml.etree import ElementTree

from tests.upstream.core_tests.differences import Difference
from tests.upstream.core_tests.fetch import (
    COMMAND,
    CORE,
    RELEASE,
    REVISION,
    folder_of_tests,
    is_fetched,
)
from tests.upstream.core_tests.suites import AGENT_SUITE, HERE, SUITES, Suite

TIMEOUT = 300.0
"""Seconds for one run of all tests; a run takes a few."""

PACKAGES = ("llama-index-core", "llama-index-workflows", "pytest", "pytest-asyncio")

FROM_OUTSIDE = ("OPENAI_API_KEY", "PYTEST_ADDOPTS", "PYTEST_PLUGINS")
"""What the tests must not get from the environment: some call OpenAI where there is a key."""

Outcomes = Mapping[str, str]
"""`passed`, `failed` or `skipped`, by the id of the test (`tests/agent/test_x.py::test_y`)."""


class Baseline(TypedDict):
    """What a record holds: the outcomes with core's, and those with ours that are others."""

    release: str
    revision: str
    versions: dict[str, str]
    outcomes: dict[str, str]
    ours: dict[str, str]


class NotRun(Exception):
    """The tests could not be run to their end; what pytest said is in the message."""


@dataclass(frozen=True)
class Report:
    """What a run of pytest has come to: the outcomes, and what the failures say."""

    outcomes: Outcomes
    failures: Mapping[str, str]


@dataclass(frozen=True)
class Reports:
    """Two runs of the same tests: with core's classes, and with ours."""

    core: Report
    ours: Report

    def compared(self, suite: Suite) -> Comparison:
        """The two, side by side, with what the suite says of the differences."""
        explained = suite.not_applicable(self.ours.failures)
        return Comparison(self.core.outcomes, self.ours.outcomes, explained)


@dataclass(frozen=True)
class Comparison:
    """The outcomes of the same tests, with core's classes and with ours.

    Attributes:
        core: with core's.
        ours: with ours.
        not_applicable: the tests that fail with ours as they should, and why.
    """

    core: Outcomes
    ours: Outcomes
    not_applicable: Mapping[str, Difference] = field(default_factory=dict[str, Difference])

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """Test id, outcome with core's, outcome with ours; `-` where it was not there."""
        tests = sorted({*self.core, *self.ours})
        return [(test, self.core.get(test, "-"), self.ours.get(test, "-")) for test in tests]

    @property
    def worse(self) -> list[str]:
        """The tests that pass with core's classes, apply to ours, and do not pass with them."""
        return [
            test
            for test, core, ours in self.rows
            if core == "passed" and ours != "passed" and test not in self.not_applicable
        ]


def compare(folder: Path, suite: Suite = AGENT_SUITE, timeout: float = TIMEOUT) -> Comparison:
    """Run the tests of a suite with core's classes and with ours.

    Args:
        folder: what `fetch` made.
        suite: which tests, and with what.
        timeout: seconds for each of the two runs.

    Raises:
        NotRun: pytest did not come to its end.
    """
    return run_both(folder, suite, timeout).compared(suite)


def run_both(folder: Path, suite: Suite = AGENT_SUITE, timeout: float = TIMEOUT) -> Reports:
    """Run the tests of a suite with core's classes and with ours, at the same time.

    Args:
        folder: what `fetch` made.
        suite: which tests, and with what.
        timeout: seconds for each of the two runs.

    Raises:
        NotRun: pytest did not come to its end.
    """
    with ThreadPoolExecutor(2) as threads:
        core = threads.submit(run_tests, folder, suite, timeout=timeout)
        ours = threads.submit(run_tests, folder, suite, swapped=True, timeout=timeout)
        return Reports(core.result(), ours.result())


def run_tests(
    folder: Path,
    suite: Suite = AGENT_SUITE,
    *,
    swapped: bool = False,
    timeout: float = TIMEOUT,
) -> Report:
    """Run the tests in a pytest of their own.

    Args:
        folder: what `fetch` made.
        suite: which tests, and with what.
        swapped: with ours in the place of core's.
        timeout: seconds after which the run is given up.

    Raises:
        NotRun: pytest did not come to its end in time, or found no test.
    """
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        plugin = ["-p", suite.plugin] if swapped else []
        said = _said([*_pytest(report), *plugin, *suite.tests], folder / CORE, timeout)
        xml = report.read_text(encoding="utf-8") if report.exists() else "<none/>"
    outcomes = read_report(xml)
    if not outcomes:
        raise NotRun(said)
    return Report(outcomes, read_failures(xml))


def read_report(xml: str) -> dict[str, str]:
    """The outcomes in a JUnit report of pytest's, of the family `xunit1`."""
    outcomes: dict[str, str] = {}
    for case in ElementTree.fromstring(xml).iter("testcase"):
        test, outcome = _test_id(case), _outcome(case)
        # An error of the teardown is a second case of the same test.
        outcomes[test] = "failed" if outcomes.get(test) == "failed" else outcome
    return outcomes


def read_failures(xml: str) -> dict[str, str]:
    """What the failures in such a report say, by the id of the test."""
    failures: dict[str, str] = {}
    for case in ElementTree.fromstring(xml).iter("testcase"):
        said = [end.get("message", "") for end in case if end.tag in {"failure", "error"}]
        if said:
            failures[_test_id(case)] = "\n".join(said)
    return failures


def record(comparison: Comparison) -> Baseline:
    """What to write to the record of a suite."""
    return Baseline(
        release=RELEASE,
        revision=REVISION,
        versions={"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        outcomes=dict(sorted(comparison.core.items())),
        ours={test: ours for test, core, ours in comparison.rows if ours != core},
    )


def read_baseline(suite: Suite = AGENT_SUITE) -> Baseline:
    """The record that is there."""
    return cast("Baseline", json.loads(suite.baseline.read_text(encoding="utf-8")))


def table(comparison: Comparison, recorded: Outcomes) -> Iterator[str]:
    """The lines of the table, and what there is to say below it."""
    rows = [("test", "core", "ours"), *comparison.rows]
    width = max(len(test) for test, _, _ in rows)
    for test, core, ours in rows:
        yield f"{test:{width}}  {core:7}  {ours:7}".rstrip()
    yield ""
    yield f"core: {_counts(comparison.core)}"
    yield f"ours: {_counts(comparison.ours)}"
    for test, core, _ in comparison.rows:
        if core != recorded.get(test, "-"):
            yield f"core's differs from the record ({recorded.get(test, '-')}): {test}"
    reasons = Counter(difference.why for difference in comparison.not_applicable.values())
    for why, count in reasons.items():
        yield f"not applicable: {count}: {why}"
    for test in comparison.worse:
        yield f"worse with ours: {test}"


# The first one imports half of LangSmith; core's tests need none of them.
_NOT_NEEDED = ("langsmith_plugin", "hypothesispytest", "respx", "llama_index_streaming_ext")


def _pytest(report: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "pytest", "-v", "--color=no", "--rootdir=.", "-c", os.devnull),
        *("-p", "no:cacheprovider", *[f"-pno:{plugin}" for plugin in _NOT_NEEDED]),
        *("-o", "junit_family=xunit1", f"--junitxml={report}"),
        "--continue-on-collection-errors",
    ]


def _said(command: Sequence[str], folder: Path, timeout: float) -> str:
    """Run a command, and return the end of what it says."""
    try:
        run = subprocess.run(
            command,
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise NotRun(f"Not done after {timeout} s: {_end(late.stdout)}") from late
    return _end(run.stdout)


def _environment() -> dict[str, str]:
    passed_on = {name: value for name, value in os.environ.items() if name not in FROM_OUTSIDE}
    paths = [str(HERE), *filter(None, [passed_on.get("PYTHONPATH")])]
    return passed_on | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}


def _end(output: bytes | None) -> str:
    return (output or b"").decode(errors="replace")[-4000:]


def _test_id(case: ElementTree.Element) -> str:
    file, name = case.get("file", ""), case.get("name", "")
    module = Path(file).with_suffix("").as_posix().replace("/", ".")
    if name == module:
        # It could not be imported, so there are no tests to name.
        return file
    classes = case.get("classname", "").removeprefix(module).split(".")
    return "::".join([file, *filter(None, classes), name])


def _outcome(case: ElementTree.Element) -> str:
    ends = {child.tag for child in case}
    if ends & {"failure", "error"}:
        return "failed"
    return "skipped" if "skipped" in ends else "passed"


def _counts(outcomes: Outcomes) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in Counter(outcomes.values()).items())


def main(argv: list[str] | None = None) -> int:
    """Run them from the command line.

    Returns:
        The exit code: 1 when something passes with core's classes and not with ours.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, default=folder_of_tests())
    parser.add_argument("--suite", choices=SUITES, help="one of them; all by default")
    parser.add_argument("--record", action="store_true", help="write the records anew")
    options = parser.parse_args(argv)
    folder: Path = options.folder
    suites = [SUITES[options.suite]] if options.suite else list(SUITES.values())
    if not all(is_fetched(folder, suite.tests) for suite in suites):
        parser.error(f"Core's tests are not in {folder}. Fetch them: {COMMAND} {folder}")
    return max([_run(folder, suite, anew=options.record) for suite in suites])


def _run(folder: Path, suite: Suite, *, anew: bool) -> int:
    """Run one suite, and print its table."""
    comparison = compare(folder, suite)
    if anew:
        text = json.dumps(record(comparison), indent=2)
        suite.baseline.write_text(f"{text}\n", encoding="utf-8")
    for line in table(comparison, read_baseline(suite)["outcomes"]):
        sys.stdout.write(f"{line}\n")
    return 1 if comparison.worse else 0


if __name__ == "__main__":
    sys.exit(main())
