"""Core's own tests pass with this package's classes, and the scripts that run them work."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.upstream.core_tests import fetch, run, suites

FAKE = """
import pytest
from llama_index.core.agent import ReActAgent
from llama_index.core.agent.workflow import AgentWorkflow, CodeActAgent, FunctionAgent
from llama_index.core.agent.workflow import multi_agent_workflow
from llama_index.core.agent.workflow.function_agent import FunctionAgent as Defined
from llama_index_streaming_ext import agents as ours

from .conftest import FROM_CONFTEST

IMPORTED = [AgentWorkflow, CodeActAgent, Defined, FROM_CONFTEST, FunctionAgent, ReActAgent]


@pytest.mark.parametrize("index", range(len(IMPORTED)))
def test_it_is_core_s(index):
    assert IMPORTED[index].__module__.startswith("llama_index.core.")


class TestOurs:
    def test_each_is_ours(self):
        assert all(getattr(ours, agent.__name__) is agent for agent in IMPORTED)


def test_core_builds_its_own():
    assert multi_agent_workflow.FunctionAgent.__module__.startswith("llama_index.core.")


@pytest.mark.skip
def test_skipped():
    pass


@pytest.fixture
def broken():
    yield
    raise RuntimeError


def test_torn_down_badly(broken):
    pass
"""

CONFTEST = "from llama_index.core.agent.workflow import FunctionAgent as FROM_CONFTEST\n"

FILE = "tests/agent/test_fake.py"


def fake(root: Path, **modules: str) -> Path:
    """A folder as `fetch` makes it, with modules of agent tests."""
    agents = root / fetch.CORE / fetch.AGENTS
    agents.mkdir(parents=True)
    for name, text in {"__init__": "", **modules}.items():
        (agents / f"{name}.py").write_text(text, encoding="utf-8")
    (agents.parent / "__init__.py").touch()
    return root


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> run.Comparison:
    """The fake tests, run with core's agents and with ours."""
    root = tmp_path_factory.mktemp("fake")
    return run.compare(fake(root, conftest=CONFTEST, test_fake=FAKE, test_lost="import nowhere"))


@pytest.fixture(scope="module", params=suites.SUITES.values(), ids=list(suites.SUITES))
def suite(request: pytest.FixtureRequest) -> suites.Suite:
    """Tests of core's that are run with ours."""
    return request.param


@pytest.fixture(scope="module")
def fetched(suite: suites.Suite) -> run.Comparison:
    """Core's tests, run with core's classes and with ours."""
    folder = fetch.folder_of_tests()
    if not fetch.is_fetched(folder, suite.tests):
        pytest.skip(f"core's tests are not in {folder}: fetch them with `{fetch.COMMAND}`")
    return run.compare(folder, suite)


def test_what_passes_with_cores_classes_passes_with_ours(fetched: run.Comparison) -> None:
    """Core's own tests find no difference but those that are meant."""
    assert fetched.worse == []


def test_all_is_as_recorded(fetched: run.Comparison, suite: suites.Suite) -> None:
    """With the recorded versions the outcomes are the recorded ones, so nothing was left out."""
    baseline, now = run.read_baseline(suite), run.record(fetched)
    if baseline["versions"] != now["versions"]:
        pytest.skip("recorded with other versions")
    assert now == baseline


def test_each_difference_shows(fetched: run.Comparison, suite: suites.Suite) -> None:
    """No test is said not to apply for a reason that there is no more."""
    assert set(fetched.not_applicable.values()) == set(suite.differences)


def test_the_record_is_of_the_pinned_revision(suite: suites.Suite) -> None:
    """The record and `fetch.py` speak of one commit."""
    baseline = run.read_baseline(suite)
    assert (baseline["release"], baseline["revision"]) == (fetch.RELEASE, fetch.REVISION)


def test_without_the_plugin_tests_import_cores_agents(comparison: run.Comparison) -> None:
    """The first run is one of core alone."""
    of_core = {test for test in comparison.core if "it_is_core_s" in test}
    assert len(of_core) == 6
    assert {comparison.core[test] for test in of_core} == {"passed"}
    assert comparison.core[f"{FILE}::TestOurs::test_each_is_ours"] == "failed"


def test_with_the_plugin_tests_import_ours(comparison: run.Comparison) -> None:
    """Wherever a test, or its conftest.py, imports an agent from, it gets ours."""
    assert comparison.ours[f"{FILE}::TestOurs::test_each_is_ours"] == "passed"


def test_cores_own_code_keeps_cores_agents(comparison: run.Comparison) -> None:
    """What a module of core's imports of another is not swapped."""
    assert comparison.ours[f"{FILE}::test_core_builds_its_own"] == "passed"


def test_what_passes_with_cores_only_is_worse(comparison: run.Comparison) -> None:
    """The tests that ask for core's classes are what ours cannot do, and nothing else is."""
    assert comparison.worse == [f"{FILE}::test_it_is_core_s[{index}]" for index in range(6)]


@pytest.mark.parametrize(
    ("test", "outcome"),
    [
        (f"{FILE}::test_skipped", "skipped"),
        (f"{FILE}::test_torn_down_badly", "failed"),
        ("tests/agent/test_lost.py", "failed"),
    ],
)
def test_each_end_has_its_outcome(comparison: run.Comparison, test: str, outcome: str) -> None:
    """A test that is skipped or torn down badly, and a module that cannot be imported, show."""
    assert (comparison.core[test], comparison.ours[test]) == (outcome, outcome)


def test_a_test_that_is_gone_is_worse() -> None:
    """A test that passes with core's, and is not there with ours, is not overlooked."""
    assert run.Comparison(core={"a": "passed", "b": "failed"}, ours={}).worse == ["a"]


def test_the_table_has_a_line_for_each_test() -> None:
    """Test id, core's outcome, ours; then the counts, and what is not as it should be."""
    comparison = run.Comparison(
        core={"a": "passed", "b": "passed"}, ours={"a": "passed", "b": "failed"}
    )
    assert list(run.table(comparison, {"a": "passed"})) == [
        "test  core     ours",
        "a     passed   passed",
        "b     passed   failed",
        "",
        "core: 2 passed",
        "ours: 1 passed, 1 failed",
        "core's differs from the record (-): b",
        "worse with ours: b",
    ]


def test_a_regression_is_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The script exits with 1 and names what is worse."""
    only_cores = (
        "from llama_index.core.agent import FunctionAgent as agent\n"
        "def test_it(): assert agent.__module__.startswith('llama_index.core.')\n"
    )
    assert run.main([str(fake(tmp_path, test_fake=only_cores)), "--suite", "agents"]) == 1
    assert f"worse with ours: {FILE}::test_it" in capsys.readouterr().out


def test_no_tests_are_no_success(tmp_path: Path) -> None:
    """A run that finds no test fails, and says what pytest said."""
    with pytest.raises(run.NotRun, match="no tests ran"):
        run.run_tests(fake(tmp_path))


def test_a_run_that_hangs_is_given_up(tmp_path: Path) -> None:
    """After the timeout the run is killed."""
    hangs = "import threading\ndef test_it(): threading.Event().wait()\n"
    with pytest.raises(run.NotRun, match="Not done after"):
        run.run_tests(fake(tmp_path, test_fake=hangs), timeout=0.01)


def test_the_script_says_how_to_fetch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the tests there is nothing to run, but a command to run first."""
    with pytest.raises(SystemExit, match="2"):
        run.main([str(tmp_path)])
    assert f"Fetch them: {fetch.COMMAND} {tmp_path}" in capsys.readouterr().err


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with agent tests, and with what is none of our business."""
    for name, value in {"GLOBAL": os.devnull, "NOSYSTEM": "1"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    root = tmp_path / "repository"
    fake(root, test_fake="")
    (root / fetch.CORE / "tests/conftest.py").touch()
    (root / "docs").mkdir()
    (root / "docs/page.md").touch()
    git(root, "init", "--quiet")
    git(root, "config", "uploadpack.allowFilter", "true")
    git(root, "add", ".")
    git(root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "tests")
    return root


def git(root: Path, *args: str) -> str:
    """What git says."""
    return subprocess.run(
        ["git", "-C", str(root), *args], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_only_the_named_folders_are_fetched(tmp_path: Path, repository: Path) -> None:
    """The tests and their conftest.py come, other folders of the repository do not."""
    folder = tmp_path / "fetched"
    for _ in range(2):  # a second time is harmless
        fetch.fetch(folder, repository.as_uri(), git(repository, "rev-parse", "HEAD"))
    assert fetch.is_fetched(folder)
    assert (folder / fetch.CORE / "tests/conftest.py").exists()
    assert not (folder / "docs").exists()


def test_the_folder_is_the_one_of_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`LLAMA_INDEX_CORE_TESTS` names the folder."""
    monkeypatch.setenv(fetch.FOLDER_VARIABLE, str(tmp_path))
    assert fetch.folder_of_tests() == tmp_path


def test_the_folder_is_one_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name it is in the user's cache, by its release."""
    monkeypatch.delenv(fetch.FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    expected = tmp_path / "llama-index-streaming-ext" / f"core-tests-{fetch.RELEASE}"
    assert fetch.folder_of_tests() == expected
