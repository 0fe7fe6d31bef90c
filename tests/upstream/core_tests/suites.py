"""Which of core's tests are run with what of ours, and where ours differs with intent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.upstream.core_tests.differences import DIFFERENCES, Difference
from tests.upstream.core_tests.fetch import AGENTS

HERE = Path(__file__).parent
"""Where the plugins and the records are."""


@dataclass(frozen=True)
class Suite:
    """Tests of core's that are run with a plugin.

    Attributes:
        name: what it is called at the command line.
        tests: folders and files, relative to core's folder.
        plugin: the module beside this one that puts ours in the place of core's.
        record: the name of the file with the outcomes.
        differences: where ours does otherwise with intent: tests that do not apply.
    """

    name: str
    tests: tuple[str, ...]
    plugin: str
    record: str
    differences: tuple[Difference, ...] = ()

    @property
    def baseline(self) -> Path:
        """The file with the outcomes."""
        return HERE / self.record

    def not_applicable(self, failures: Mapping[str, str]) -> dict[str, Difference]:
        """The failures that are such differences, by the id of the test.

        Args:
            failures: what each failure says, by the id of the test.
        """
        return {
            test: difference
            for test, said in failures.items()
            for difference in self.differences
            if difference.explains(test, said)
        }


AGENT_SUITE = Suite("agents", (AGENTS,), "swap", "baseline.json")

QUERY_SUITE = Suite(
    "queries",
    (
        "tests/chat_engine",
        "tests/query_engine",
        "tests/response_synthesizers",
        # The others there ask no engine.
        "tests/indices/query",
        "tests/indices/struct_store",
        "tests/indices/test_loading_graph.py",
    ),
    "swap_query",
    "baseline_query.json",
    DIFFERENCES,
)

SUITES = {suite.name: suite for suite in (AGENT_SUITE, QUERY_SUITE)}
