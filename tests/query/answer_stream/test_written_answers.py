"""An answer that is written as the LLM says it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from llama_index.core.base.response.schema import StreamingResponse
from llama_index.core.query_engine import CustomQueryEngine, RouterQueryEngine
from llama_index.core.selectors import LLMSingleSelector
from llama_index.core.tools import QueryEngineTool

from llama_index_streaming_ext.query.engine import StreamingQueryEngine
from llama_index_streaming_ext.query.execution.query_run import QueryRun
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text


def asked(said_by_core: str) -> QueryRun:
    """A query whose LLM has said `abc` when core's engine gives back its answer."""
    run = QueryRun("?", "Engine", verbatim=True)

    def ask() -> str:
        assert run.takes_answer("query-1", None)
        run.write_answer("abc")
        return said_by_core

    run.start_in_thread(ask)
    run.wait_sync()
    return run


@pytest.mark.parametrize(("core", "whole"), [("abc", "abc"), ("abc!", "abc!"), ("", "abc")])
def test_what_core_adds_is_written_too(core: str, whole: str) -> None:
    """What the LLM has said is there once."""
    run = asked(core)
    assert (run.text, run.error) == (whole, None)


def test_another_answer_of_core_s_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """What is written cannot be taken back, but nobody is left in ignorance."""
    run = asked("something else")
    assert run.text == "abc"
    assert "makes another answer of it: 'something else'" in caplog.text


class PlansFirst(CustomQueryEngine):
    """Asks its LLM twice, in a generator: what the first call says is no part of the answer."""

    llm: Any

    def custom_query(self, query_str: str) -> Any:
        """Plan, then answer."""

        def tokens() -> Generator[str]:
            list(self.llm.stream_complete("plan"))
            yield from (chunk.delta for chunk in self.llm.stream_complete("answer"))

        return StreamingResponse(tokens())


def test_a_user_s_engine_behind_core_s_router_says_its_own_answer() -> None:
    """Not what its LLM says first."""
    choice = Turn(text('[{"choice": 1, "reason": "the only one"}]'))
    llm = FakeStreamingLLM([choice, Turn(text("a ", "plan")), Turn(text("the ", "answer"))])
    tool = QueryEngineTool.from_defaults(PlansFirst(llm=llm), name="own", description="All.")
    router = RouterQueryEngine(LLMSingleSelector.from_defaults(llm=llm), [tool], llm=llm)
    assert list(StreamingQueryEngine(router).query("?").response_gen) == ["the ", "answer"]


def test_a_generator_of_no_module_is_not_cores() -> None:
    """Code that was made by exec knows of none; its words are the answer."""
    names: dict[str, Any] = {}
    exec("def tokens():\n    yield 'It is'\n    yield ' so.'\n", names)
    del names["__builtins__"]
    run = QueryRun("?", "Engine", verbatim=True)
    run.start_in_thread(lambda: StreamingResponse(names["tokens"]()))
    run.wait_sync()
    assert (run.text, run.error) == ("It is so.", None)
