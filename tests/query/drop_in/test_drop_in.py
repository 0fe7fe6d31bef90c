"""Indexes and engines by core's names are core's, and their answers stream."""

# Core's own signatures are not typed in full.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeArgument=false

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import MockEmbedding, StorageContext
from llama_index.core import SummaryIndex as CoreSummaryIndex
from llama_index.core import chat_engine as core_chats
from llama_index.core import query_engine as core_engines
from llama_index.core.base.response.schema import Response, StreamingResponse
from llama_index.core.chat_engine.types import ChatMode
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.schema import QueryBundle, TextNode
from llama_index.core.tools import QueryEngineTool

import llama_index_streaming_ext
from llama_index_streaming_ext.query.drop_in.engines import (
    RetrieverQueryEngine,
    SubQuestionQueryEngine,
)
from llama_index_streaming_ext.query.drop_in.indexes import (
    SummaryIndex,
    VectorStoreIndex,
    load_index_from_storage,
    load_indices_from_storage,
)
from llama_index_streaming_ext.query.drop_in.streaming import streaming
from llama_index_streaming_ext.query.engine import StreamingQueryEngine
from llama_index_streaming_ext.query.synthesizer import ResponseSynthesizer
from llama_index_streaming_ext.testing import FakeStreamingLLM, Turn, text

TOKENS = ["It", " is", " sunny"]
NODES = [TextNode(text="Paris is sunny.")]


def llm(**options: Any) -> FakeStreamingLLM:
    """Return an LLM that answers in three tokens, each time."""
    return FakeStreamingLLM([Turn(text(*TOKENS))], repeat_last=True, **options)


def test_an_index_makes_engines_of_cores_class_that_stream() -> None:
    """The engine is core's RetrieverQueryEngine, and its response streams."""
    engine = SummaryIndex(NODES).as_query_engine(llm=llm())
    assert isinstance(engine, core_engines.RetrieverQueryEngine)
    response = engine.query("How is it?")
    assert isinstance(response, StreamingResponse)
    assert list(response.response_gen) == TOKENS


async def test_an_index_makes_engines_that_stream_asynchronously() -> None:
    """The async face streams, too."""
    engine = VectorStoreIndex(NODES, embed_model=MockEmbedding(2)).as_query_engine(llm=llm())
    response = await engine.aquery("How is it?")
    assert [token async for token in response.async_response_gen()] == TOKENS


def test_streaming_false_gives_the_complete_response_of_core() -> None:
    """Whoever asks for no stream gets what core gives."""
    response = SummaryIndex(NODES).as_query_engine(llm=llm(), streaming=False).query("?")
    assert type(response) is Response
    assert response.response == "It is sunny"


def test_streaming_true_needs_an_llm_that_streams() -> None:
    """An engine built with `streaming=True` raises at the query, as the documents say."""
    engine = SummaryIndex(NODES).as_query_engine(llm=llm(streaming=False), streaming=True)
    with pytest.raises(NotImplementedError):
        engine.query("?")


def test_without_streaming_an_llm_that_cannot_stream_answers_in_one_delta() -> None:
    """An engine built without `streaming=` answers with any LLM."""
    engine = SummaryIndex(NODES).as_query_engine(llm=llm(streaming=False))
    assert list(engine.query("?").response_gen) == ["It is sunny"]


def test_the_low_level_form_of_the_documents_streams() -> None:
    """A streaming synthesizer in our RetrieverQueryEngine streams token by token."""
    synthesizer = ResponseSynthesizer.from_args(streaming=True, llm=llm())
    retriever = CoreSummaryIndex(NODES).as_retriever()
    engine = RetrieverQueryEngine(retriever, response_synthesizer=synthesizer)
    assert list(engine.query("?").response_gen) == TOKENS


def test_the_low_level_form_needs_an_llm_that_streams() -> None:
    """A streaming synthesizer counts as `streaming=True`."""
    synthesizer = ResponseSynthesizer.from_args(streaming=True, llm=llm(streaming=False))
    retriever = CoreSummaryIndex(NODES).as_retriever()
    with pytest.raises(NotImplementedError):
        RetrieverQueryEngine(retriever, response_synthesizer=synthesizer).query("?")


def test_an_engine_with_another_retriever_streams() -> None:
    """`with_retriever` gives an engine of our class."""
    index = SummaryIndex(NODES)
    engine = index.as_query_engine(llm=llm()).with_retriever(index.as_retriever())
    assert type(engine) is RetrieverQueryEngine
    assert list(engine.query("?").response_gen) == TOKENS


def test_a_users_subclass_answers_in_its_own_way() -> None:
    """What a user overrides is what is asked."""
    asked: list[str] = []

    class Mine(RetrieverQueryEngine):
        def _query(self, query_bundle: QueryBundle) -> Any:
            asked.append(query_bundle.query_str)
            return super()._query(query_bundle)

    engine = Mine.from_args(CoreSummaryIndex(NODES).as_retriever(), llm=llm())
    assert str(engine.query("?")) == "It is sunny"
    assert asked == ["?"]


@pytest.mark.parametrize(
    ("mode", "core_class"),
    [
        ("simple", core_chats.SimpleChatEngine),
        ("context", core_chats.ContextChatEngine),
        ("condense_question", core_chats.CondenseQuestionChatEngine),
        ("condense_plus_context", core_chats.CondensePlusContextChatEngine),
    ],
)
def test_an_index_makes_chat_engines_that_stream(mode: str, core_class: type) -> None:
    """The chat engine is core's, its answer streams, and it remembers the turn."""
    chat = SummaryIndex(NODES).as_chat_engine(
        chat_mode=ChatMode(mode), llm=llm(), memory=ChatMemoryBuffer(token_limit=3000)
    )
    assert isinstance(chat, core_class)
    assert list(chat.stream_chat("How is it?").response_gen) == TOKENS
    assert [message.content for message in chat.chat_history] == ["How is it?", "It is sunny"]


def test_a_stored_index_is_loaded_as_ours(tmp_path: Path) -> None:
    """What core's `persist` has stored comes back as an index whose engines stream."""
    SummaryIndex(NODES).storage_context.persist(str(tmp_path))
    stored = StorageContext.from_defaults(persist_dir=str(tmp_path))
    index = load_index_from_storage(stored)
    assert type(index) is SummaryIndex
    assert [type(each) for each in load_indices_from_storage(stored)] == [SummaryIndex]
    assert list(index.as_query_engine(llm=llm()).query("?").response_gen) == TOKENS


def test_an_engine_is_pickled_as_it_is() -> None:
    """A pickled engine comes back as one of ours, and streams."""
    engine = SummaryIndex(NODES).as_query_engine(llm=llm(), streaming=True)
    again = pickle.loads(pickle.dumps(engine))
    assert (type(again), again.streaming) == (RetrieverQueryEngine, True)
    assert list(again.query("?").response_gen) == TOKENS


def test_sub_questions_need_no_other_package() -> None:
    """Where OpenAI's question generator is not installed, core's own takes its place."""
    tool = QueryEngineTool.from_defaults(
        SummaryIndex(NODES).as_query_engine(llm=llm()), name="t", description="d"
    )
    engine = SubQuestionQueryEngine.from_defaults([tool], llm=llm())
    assert isinstance(vars(engine)["_question_gen"], LLMQuestionGenerator)


def test_streaming_takes_an_index_of_a_users_class() -> None:
    """The result is an index of that class, over the same nodes, whose engines stream."""

    class Mine(CoreSummaryIndex):
        pass

    index = streaming(Mine(NODES))
    assert isinstance(index, Mine)
    engine: Any = index.as_query_engine(llm=llm())
    assert list(engine.query("?").response_gen) == TOKENS


def test_streaming_takes_engines_of_others() -> None:
    """An engine that core has built becomes a StreamingQueryEngine, with its options."""
    engine = streaming(CoreSummaryIndex(NODES).as_query_engine(llm=llm()), show="calls")
    assert isinstance(engine, StreamingQueryEngine)
    assert engine.show == "calls"
    chat = streaming(
        core_chats.SimpleChatEngine.from_defaults(llm=llm(), memory=ChatMemoryBuffer(token_limit=9))
    )
    assert list(chat.stream_chat("?").response_gen) == TOKENS


def test_streaming_says_what_it_takes() -> None:
    """Anything else is refused, and options of an index are told where they belong."""
    untyped: Any = streaming
    with pytest.raises(TypeError, match="takes an index, a query engine or a chat engine"):
        streaming(42)
    with pytest.raises(TypeError, match="give them to the engine"):
        untyped(CoreSummaryIndex(NODES), show="calls")


def test_the_names_stand_at_the_root() -> None:
    """Every class here is found where core's is, at the root of the package."""
    for name in ("VectorStoreIndex", "RetrieverQueryEngine", "SimpleChatEngine", "QueryEngineTool"):
        ours = getattr(llama_index_streaming_ext, name)
        assert ours.__name__ == name
        assert ours.__module__.startswith("llama_index_streaming_ext.query.drop_in.")
