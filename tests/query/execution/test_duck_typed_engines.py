"""Chat engines over what only behaves like a query engine, and what is said to them."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import Response
from llama_index.core.chat_engine import CondenseQuestionChatEngine, ContextChatEngine
from llama_index.core.llms import MockLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.schema import QueryBundle, TextNode

from llama_index_streaming_ext.query.chat.engine import StreamingChatEngine


class Echo:
    """No BaseQueryEngine, but it is asked like one."""

    def query(self, question: str) -> Response:
        """The question."""
        return Response(question)


class Proxy:
    """Has the methods of another by `__getattr__` only."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["inner"], name)


def mock() -> Any:
    """What tests put in the place of a query engine: it says that it is one."""
    engine = Mock(spec=BaseQueryEngine)
    engine.query.side_effect = Echo().query
    return engine


def condensing(inner: Any) -> CondenseQuestionChatEngine:
    """A chat engine that asks it."""
    memory = ChatMemoryBuffer.from_defaults()  # pyright: ignore[reportUnknownMemberType] # core's tokenizer_fn
    return CondenseQuestionChatEngine.from_defaults(inner, llm=MockLLM(), memory=memory)


ENGINES = [Echo, lambda: Proxy(Echo()), mock]


@pytest.mark.parametrize("make", ENGINES, ids=["echo", "proxy", "mock"])
def test_each_turn_has_its_own_answer(make: Any) -> None:
    """The second turn asks the engine anew."""
    chat = StreamingChatEngine(condensing(make()))
    first, second = str(chat.chat("one")), str(chat.chat("two"))
    assert first == "one"
    assert "two" in second


@pytest.mark.parametrize("make", ENGINES, ids=["echo", "proxy", "mock"])
def test_the_engine_is_left_alone(make: Any) -> None:
    """Nothing of ours is left in the user's object."""
    inner = make()
    before = set(inner.__dict__)
    StreamingChatEngine(condensing(inner)).chat("one")
    assert set(inner.__dict__) == before


def test_a_message_may_be_a_query_bundle() -> None:
    """Core's engines with context take one, and remember its text: so do they in ours."""
    index = VectorStoreIndex(nodes=[TextNode(text="Sun.")], embed_model=MockEmbedding(2))
    memory = ChatMemoryBuffer.from_defaults()  # pyright: ignore[reportUnknownMemberType] # core's tokenizer_fn
    engine = ContextChatEngine.from_defaults(index.as_retriever(), llm=MockLLM(), memory=memory)
    question: Any = QueryBundle("Why?")
    assert "Why?" in str(StreamingChatEngine(engine).chat(question))
    assert [message.content for message in engine.chat_history][:1] == ["Why?"]
