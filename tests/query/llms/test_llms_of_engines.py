"""Query engines stream with LLMs of any kind: sync ones, LangChain's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from llama_index.core import MockEmbedding, SummaryIndex
from llama_index.core.base.llms.types import CompletionResponse, LLMMetadata
from llama_index.core.llms import CustomLLM
from llama_index.core.schema import TextNode

from llama_index_streaming_ext import StreamingQueryEngine

WORDS = ["It ", "is ", "sunny."]


class Local(CustomLLM):
    """Only synchronous, as HuggingFace's is."""

    @property
    def metadata(self) -> LLMMetadata:
        """No chat model."""
        return LLMMetadata()

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """The whole answer."""
        return CompletionResponse(text="".join(WORDS))

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        """The answer, word by word."""
        text = ""
        for word in WORDS:
            text += word
            yield CompletionResponse(text=text, delta=word)


def langchains() -> Any:
    """LangChain's own fake, where it is installed."""
    pytest.importorskip("llama_index.llms.langchain")
    fakes = pytest.importorskip("langchain_core.language_models.fake_chat_models")
    from llama_index.llms.langchain import (  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]
        LangChainLLM,  # pyright: ignore[reportUnknownVariableType]
    )

    return cast("Any", LangChainLLM)(llm=fakes.FakeListChatModel(responses=["".join(WORDS)]))


def engine(llm: Any, mode: str) -> StreamingQueryEngine:
    """An engine over two pages."""
    index = SummaryIndex(
        [TextNode(text="Paris is sunny."), TextNode(text="Rome is, too.")],
        embed_model=MockEmbedding(2),
    )
    inner: Any = index.as_query_engine(llm=llm, response_mode=mode)  # pyright: ignore[reportUnknownMemberType] # core's
    return StreamingQueryEngine(inner, show="calls")


# Core's bridge imports langchain-community, which says that it is old.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("make", [Local, langchains])
@pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize"])
async def test_it_streams_sync_and_async(make: Callable[[], Any], mode: str) -> None:
    """Both faces give the same text, in more than one piece."""
    asked = engine(make(), mode)
    tokens = list(asked.query("How is it?").read())
    assert "".join(tokens) == "".join(WORDS)
    assert len(tokens) > 1
    response = await asked.aquery("How is it?")
    assert [token async for token in response.read()] == tokens
