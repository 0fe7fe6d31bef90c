"""The call that writes the answer streams, and no other."""

# pyright: reportPrivateUsage=false, reportUnknownMemberType=false

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.base_selector import BaseSelector, MultiSelection, SingleSelection
from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.evaluation import RelevancyEvaluator
from llama_index.core.prompts import PromptTemplate
from llama_index.core.query_engine import (
    CustomQueryEngine,
    KnowledgeGraphQueryEngine,
    RetrieverQueryEngine,
    RetrieverRouterQueryEngine,
    RetryQueryEngine,
    RouterQueryEngine,
    SubQuestionQueryEngine,
    TransformQueryEngine,
)
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.response_synthesizers import TreeSummarize
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.tools import QueryEngineTool
from pydantic import BaseModel

from llama_index_streaming_ext.query.answer_stream.engines import stream_last_call
from llama_index_streaming_ext.testing import FakeStreamingLLM
from tests.support.looks import check_faces
from tests.support.query.asking import BOTH, copied, read, streamed, streams_of, upstream_text
from tests.support.query.core_engines import QUERY_ENGINES, fake, plain, vectors

WHOLE = {
    *("retry", "retry_failing", "retry_source", "retry_guideline"),
    *("custom", "flare", "structured"),
}
"""The engines whose answer comes in one piece."""


@pytest.fixture(autouse=True)
def _default_llm(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.setattr(Settings, "_llm", fake())


def the_answer_is_upstreams(name: str, is_async: bool) -> None:
    """The text is the same as that of the engine itself."""
    upstream = upstream_text(QUERY_ENGINES[name](fake()), is_async)
    assert streamed(QUERY_ENGINES[name](fake()), is_async).text == upstream


def as_many_calls_are_made_as_upstream_makes(name: str, is_async: bool) -> None:
    """No LLM call is added, and none is left out."""
    llm, ours = fake(), fake()
    upstream_text(QUERY_ENGINES[name](llm), is_async)
    streamed(QUERY_ENGINES[name](ours), is_async)
    assert len(ours.calls) == len(llm.calls)


def the_answer_comes_in_pieces_where_it_can(name: str, is_async: bool) -> None:
    """More than one piece, but of the engines that are known to give one."""
    pieces = streamed(QUERY_ENGINES[name](fake()), is_async).pieces
    assert (len(pieces) > 1) is (name not in WHOLE)


def no_call_but_the_last_streams(name: str, is_async: bool) -> None:
    """Where one step of refining is enough, just one call is a stream."""
    llm = fake()
    streamed(QUERY_ENGINES[name](llm), is_async)
    assert streams_of(llm).count(True) == 1


@pytest.mark.parametrize("name", QUERY_ENGINES)
def test_engine(name: str) -> None:
    """Each engine streams its answer, and costs what it costs without us, sync and async."""
    looks = [
        the_answer_is_upstreams,
        as_many_calls_are_made_as_upstream_makes,
        the_answer_comes_in_pieces_where_it_can,
    ]
    if name not in WHOLE:
        looks.append(no_call_but_the_last_streams)
    check_faces(*looks, name=name)


@pytest.mark.parametrize("name", ["sql_join", "sql_auto_vector"])
def test_u54_a_sync_stream_comes_from_some_async_engines(name: str) -> None:
    """SQL joins answer async callers with the sync type."""
    assert isinstance(streamed(QUERY_ENGINES[name](fake()), True).response, StreamingResponse)


@BOTH
@pytest.mark.parametrize("name", ["sub_question", "router_multi", "tool_router", "multi_step"])
def test_the_type_is_that_of_the_face(name: str, is_async: bool) -> None:
    """A sync query gives a StreamingResponse, an async one an AsyncStreamingResponse."""
    expected = AsyncStreamingResponse if is_async else StreamingResponse
    assert isinstance(streamed(QUERY_ENGINES[name](fake()), is_async).response, expected)


# Engines within engines


def _sub_questions(llm: FakeStreamingLLM, engine: Any, **options: Any) -> Any:
    return SubQuestionQueryEngine.from_defaults(
        [QueryEngineTool.from_defaults(engine, name=f"t{n}", description="facts") for n in (0, 1)],
        llm=llm,
        question_gen=LLMQuestionGenerator.from_defaults(llm=llm),
        verbose=False,
        **options,
    )


@BOTH
def test_u57_streaming_engines_give_complete_sub_answers(is_async: bool) -> None:
    """Core takes the text of a sub-answer at once, which would freeze the loop."""
    llm = fake()
    streamed(_sub_questions(llm, plain(llm, streaming=True)), is_async)
    assert streams_of(llm) == [False, False, False, True]


@BOTH
def test_a_shared_synthesizer_streams_only_the_answer(is_async: bool) -> None:
    """One synthesizer has a part in the sub-answers, which are complete, and in the answer."""
    llm = fake()
    shared = TreeSummarize(llm=llm)
    inner = plain(llm, response_synthesizer=shared)
    streamed(_sub_questions(llm, inner, response_synthesizer=shared), is_async)
    assert streams_of(llm) == [False, False, False, True]


@BOTH
def test_a_users_engine_within_gives_complete_answers(is_async: bool) -> None:
    """What a custom engine streams is read before core takes its text."""

    class Live(CustomQueryEngine):
        llm: Any

        def custom_query(self, query_str: str) -> Any:
            return StreamingResponse(chunk.delta for chunk in self.llm.stream_complete(query_str))

        async def acustom_query(self, query_str: str) -> Any:
            async def tokens() -> AsyncGenerator[str]:
                async for chunk in await self.llm.astream_complete(query_str):
                    yield chunk.delta

            return AsyncStreamingResponse(tokens())

    llm = fake()
    streamed(_sub_questions(llm, Live(llm=llm)), is_async)
    assert "Response: It is so. Indeed." in str(llm.calls[-1].messages)


@BOTH
def test_an_engine_of_the_users_own_flow_is_left(is_async: bool) -> None:
    """Who overrides `_query` may take the text at once."""

    class Own(RetrieverQueryEngine):
        def _query(self, query_bundle: QueryBundle) -> Any:
            return Response(str(super()._query(query_bundle)).upper())

        async def _aquery(self, query_bundle: QueryBundle) -> Any:
            return Response(str(await super()._aquery(query_bundle)).upper())

    engine = Own.from_args(vectors().as_retriever(), llm=fake())
    assert streamed(engine, is_async).pieces == ["IT IS SO. INDEED."]


@BOTH
def test_an_engine_that_is_never_tried_again_streams(is_async: bool) -> None:
    """With `max_retries=0` nothing is evaluated."""
    llm = fake()
    engine = RetryQueryEngine(plain(llm), RelevancyEvaluator(llm=llm), max_retries=0)
    assert len(streamed(engine, is_async).pieces) > 1


@BOTH
def test_u54_an_accepted_answer_is_not_drained(is_async: bool) -> None:
    """A retry engine over a streaming one gives the text, not the husk of a stream."""
    llm = fake()
    engine = RetryQueryEngine(plain(llm, streaming=True), RelevancyEvaluator(llm=llm))
    answer = streamed(engine, is_async)
    assert (type(answer.response), answer.text) == (Response, "It is so. Indeed.")


@BOTH
def test_transforms_within_each_other_stream(is_async: bool) -> None:
    """However deep the engine is that writes the answer."""
    llm = fake()
    inner = QUERY_ENGINES["decompose"](llm)
    engine = TransformQueryEngine(inner, inner._query_transform, {"index_summary": "facts"})
    assert len(streamed(engine, is_async).pieces) > 1


class Both(BaseSelector):
    """Selects all that there is; needs no LLM."""

    def _get_prompts(self) -> dict[str, Any]:
        return {}

    def _update_prompts(self, prompts_dict: Any) -> None:
        """There are none."""

    def _select(self, choices: Any, query: Any) -> MultiSelection:
        every = range(len(choices))
        return MultiSelection(selections=[SingleSelection(index=n, reason="so") for n in every])

    async def _aselect(self, choices: Any, query: Any) -> MultiSelection:
        return self._select(choices, query)


async def test_engines_that_are_selected_together_answer_at_once() -> None:
    """Each is read in its own task: the first does not wait for the second to be asked."""
    together = asyncio.Barrier(2)

    class Meeting(CustomQueryEngine):
        def custom_query(self, query_str: str) -> Any:
            raise NotImplementedError

        async def acustom_query(self, query_str: str) -> Any:
            async def tokens() -> AsyncGenerator[str]:
                await together.wait()
                yield "met"

            return AsyncStreamingResponse(tokens())

    made = [QueryEngineTool.from_defaults(Meeting(), name=name) for name in ("a", "b")]
    copy = copied(RouterQueryEngine(Both(), made, llm=fake()))
    stream_last_call(copy, is_async=True)
    async with asyncio.timeout(120):
        response = await copy.aquery("why")
        pieces = [piece async for piece in response.response_gen]
    assert len(pieces) > 1


@BOTH
def test_retrieved_tools_are_told_as_they_were_found(is_async: bool) -> None:
    """The metadata of the response has the tools of the retriever, not those that were asked."""
    engine = QUERY_ENGINES["tool_router"](fake())
    found = engine._retriever.retrieve("why")
    stream_last_call(engine, is_async=is_async)
    told = read(engine, is_async).response.metadata["retrieved_tools"]
    assert [id(tool) for tool in told] == [id(tool) for tool in found]


def _engine_of(node: Any) -> Any:
    return plain(fake())


class OneNode(BaseRetriever):
    """Finds one node, always."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=TextNode(text="a fact"))]


@BOTH
def test_an_engine_made_of_a_node_streams(is_async: bool) -> None:
    """The engine that a RetrieverRouterQueryEngine makes for a node is asked for a stream."""
    engine = RetrieverRouterQueryEngine(OneNode(), _engine_of)
    assert len(streamed(engine, is_async).pieces) > 1


def _graph_engine(verbose: bool) -> Any:
    store: Any = SimpleNamespace(get_schema=lambda refresh: "", query=lambda query: "rows")  # pyright: ignore
    storage: Any = SimpleNamespace(graph_store=store)
    return KnowledgeGraphQueryEngine(
        llm=fake(),
        storage_context=storage,
        graph_query_synthesis_prompt=PromptTemplate("{query_str}"),
        verbose=verbose,
    )


@BOTH
@pytest.mark.filterwarnings("ignore:Call to deprecated class")
@pytest.mark.parametrize("verbose", [False, True])
def test_a_knowledge_graph_streams_unless_it_prints(verbose: bool, is_async: bool) -> None:
    """U57: a verbose one prints its response, which must not be a stream then."""
    answer = streamed(_graph_engine(verbose), is_async)
    assert (len(answer.pieces) > 1, answer.text) == (not verbose, "It is so. Indeed.")


@BOTH
def test_a_join_hands_on_the_stream_of_the_other_engine(is_async: bool) -> None:
    """Where the selector says so, that engine writes the answer."""
    engine = QUERY_ENGINES["sql_join"](fake())
    engine._selector = Last()
    assert len(streamed(engine, is_async).pieces) > 1


class Last(Both):
    """Selects the last."""

    def _select(self, choices: Any, query: Any) -> MultiSelection:
        last = SingleSelection(index=len(choices) - 1, reason="so")
        return MultiSelection(selections=[last])


@BOTH
def test_a_join_without_synthesis_hands_on_the_stream_of_sql(is_async: bool) -> None:
    """With `use_sql_join_synthesis=False` the SQL engine writes the answer."""
    llm = fake()
    engine = QUERY_ENGINES["sql_join"](llm)
    engine._use_sql_join_synthesis = False
    streamed(engine, is_async)
    assert streams_of(llm) == [False, False, True]


# What is changed


@BOTH
def test_the_users_engine_is_as_it_was(is_async: bool) -> None:
    """Nothing is set on it, nor on its parts."""
    llm = fake()
    engine = _sub_questions(llm, plain(llm, streaming=True))
    streamed(engine, is_async)
    inner = [one._response_synthesizer._streaming for one in engine._query_engines.values()]
    assert [engine._response_synthesizer._streaming, *inner] == [False, True, True]


def test_what_the_copy_holds_is_not_changed() -> None:
    """A synthesizer that is held elsewhere, too, keeps its flag."""
    copy = copied(plain(fake()))
    synthesizer = copy._response_synthesizer
    stream_last_call(copy, is_async=False)
    assert [synthesizer._streaming, copy._response_synthesizer._streaming] == [False, True]


def test_an_unknown_part_is_left() -> None:
    """What is no query engine of core's is asked as it is."""

    class Answering(BaseModel):
        def query(self, question: str) -> str:
            return question

    engine = Answering()
    stream_last_call(engine, is_async=False)
    assert read(engine, False).pieces == ["why"]
