"""The plugin that has core's query and chat tests ask ours, and what it says does not apply."""

from __future__ import annotations

import dataclasses

import pytest

from tests.upstream.core_tests import differences, fetch, run, suites

FAKE = """
import threading

import pytest
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import Response, StreamingResponse
from llama_index.core.callbacks import CallbackManager
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import MockLLM
from llama_index.core.response_synthesizers import Generation
from llama_index.core.tools import QueryEngineTool


class Engine(BaseQueryEngine):
    def __init__(self):
        super().__init__(CallbackManager([]))

    def _query(self, bundle):
        return Response(threading.current_thread().name)

    async def _aquery(self, bundle):
        return self._query(bundle)

    def _get_prompt_modules(self):
        return {}


def is_ours(response):
    return type(response).__module__.startswith("llama_index_streaming_ext.")


def test_a_query_is_answered_by_core():
    response = Engine().query("?")
    assert type(response) is Response and str(response) == "MainThread"


def test_a_query_is_answered_by_ours():
    response = Engine().query("?")
    assert type(response) is Response and str(response) != "MainThread"


def test_core_asks_core():
    tool = QueryEngineTool.from_defaults(Engine(), name="t", description="t")
    assert str(tool.call("?")) == "MainThread"


def test_what_streams_is_ours():
    response = Generation(llm=MockLLM(), streaming=True).synthesize("?", nodes=[])
    assert is_ours(response) and isinstance(response, StreamingResponse)


def test_what_is_complete_is_core_s():
    assert type(Generation(llm=MockLLM()).synthesize("?", nodes=[])) is Response


@pytest.mark.asyncio
async def test_a_chat_is_ours():
    engine = SimpleChatEngine.from_defaults(llm=MockLLM())
    assert is_ours(engine.stream_chat("?")) and is_ours(await engine.astream_chat("?"))



def test_it_is_worse():
    assert str(Engine().query("?")) == "MainThread", "not meant"
"""

FILE = "tests/query_engine/test_fake.py"

ONLY_WITH_OURS = ("a_query_is_answered_by_ours", "what_streams_is_ours", "a_chat_is_ours")

MEANT = differences.Difference("It is meant.", "not meant", ("query_engine/*::test_it_is_*",))


ONLY_FAKE = dataclasses.replace(suites.QUERY_SUITE, tests=("tests/query_engine",), differences=())


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> run.Reports:
    """The fake tests, run with core's engines and with ours."""
    root = tmp_path_factory.mktemp("fake")
    folder = root / fetch.CORE / "tests/query_engine"
    folder.mkdir(parents=True)
    (folder / "test_fake.py").write_text(FAKE, encoding="utf-8")
    for package in (folder, folder.parent):
        (package / "__init__.py").touch()
    return run.run_both(root, ONLY_FAKE)


@pytest.fixture(scope="module")
def comparison(reports: run.Reports) -> run.Comparison:
    """The two, with nothing that is meant."""
    return reports.compared(ONLY_FAKE)


@pytest.mark.parametrize("name", ONLY_WITH_OURS)
def test_what_a_test_asks_is_answered_by_ours(comparison: run.Comparison, name: str) -> None:
    """Engines, synthesizers and chat engines answer through ours with the plugin, and only then."""
    test = f"{FILE}::test_{name}"
    assert (comparison.core[test], comparison.ours[test]) == ("failed", "passed")


@pytest.mark.parametrize("name", ["core_asks_core", "what_is_complete_is_core_s"])
def test_the_rest_is_cores(comparison: run.Comparison, name: str) -> None:
    """What core's code asks stays core's, and a complete answer is core's `Response`."""
    test = f"{FILE}::test_{name}"
    assert (comparison.core[test], comparison.ours[test]) == ("passed", "passed")


def test_what_passes_with_cores_only_is_worse(comparison: run.Comparison) -> None:
    """The tests that only core's pass are named."""
    assert comparison.worse == [
        f"{FILE}::test_a_query_is_answered_by_core",
        f"{FILE}::test_it_is_worse",
    ]


def test_what_is_meant_is_not_worse(reports: run.Reports) -> None:
    """A failure that a difference explains is none of ours; the table says why."""
    comparison = reports.compared(dataclasses.replace(ONLY_FAKE, differences=(MEANT,)))
    assert comparison.worse == [f"{FILE}::test_a_query_is_answered_by_core"]
    assert "not applicable: 1: It is meant." in list(run.table(comparison, {}))


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("tests/query_engine/test_fake.py::test_it_is_worse", "another error"),
        ("tests/chat_engine/test_fake.py::test_it_is_worse", "not meant"),
    ],
)
def test_another_failure_is_not_explained(test: str, said: str) -> None:
    """A difference explains only the tests that it names, and only what it says of them."""
    assert not MEANT.explains(test, said)
