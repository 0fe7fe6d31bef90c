"""Query engines as users write them: whatever they return, and in whatever way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any

from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.query_engine import CustomQueryEngine

from examples import _library as library

__all__ = ["library"]


class Own(CustomQueryEngine):
    """A user's engine, as the documents show it."""

    llm: Any

    def custom_query(self, query_str: str) -> Any:
        """Ask the LLM, and give its answer as a text."""
        return self.llm.complete(query_str).text


class OwnResponse(Own):
    """One that gives a response."""

    def custom_query(self, query_str: str) -> Any:
        """Ask the LLM, and give its answer with the sources."""
        nodes = library.bm25().retrieve(query_str)
        return Response(self.llm.complete(query_str).text, source_nodes=nodes)


class OwnGenerator(Own):
    """One whose method is a generator."""

    def custom_query(self, query_str: str) -> Any:
        """Ask the LLM, token by token."""
        for chunk in self.llm.stream_complete(query_str):
            yield chunk.delta


class OwnAsync(Own):
    """One that has an async face."""

    async def acustom_query(self, query_str: str) -> Any:
        """Ask the LLM, and give its answer as a text."""
        return (await self.llm.acomplete(query_str)).text


class OwnAsyncGenerator(OwnGenerator):
    """One whose async method is a generator, too."""

    async def acustom_query(self, query_str: str) -> Any:
        """Ask the LLM, token by token."""
        async for chunk in await self.llm.astream_complete(query_str):
            yield chunk.delta


class OwnStreaming(Own):
    """One that gives a streaming response."""

    def custom_query(self, query_str: str) -> Any:
        """Ask the LLM, and give its answer while it comes."""
        return StreamingResponse(self._tokens(query_str), library.bm25().retrieve(query_str))

    async def acustom_query(self, query_str: str) -> Any:
        """Ask the LLM, and give its answer while it comes."""
        nodes = await library.bm25().aretrieve(query_str)
        return AsyncStreamingResponse(self._atokens(query_str), nodes)

    def _tokens(self, query_str: str) -> Generator[str, None, None]:
        for chunk in self.llm.stream_complete(query_str):
            yield chunk.delta

    async def _atokens(self, query_str: str) -> AsyncGenerator[str, None]:
        async for chunk in await self.llm.astream_complete(query_str):
            yield chunk.delta


class Broken(CustomQueryEngine):
    """An engine that fails."""

    def custom_query(self, query_str: str) -> str:
        """Fail."""
        raise ConnectionError("the pages are out")
