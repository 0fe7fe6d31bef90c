"""One turn of a chat: a query whose answer is said from within the engine, and then remembered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from llama_index.core.base.response.schema import Response, StreamingResponse
from llama_index.core.chat_engine.types import AgentChatResponse
from llama_index.core.tools import ToolOutput

from llama_index_streaming_ext.errors import IncompleteResponse, StreamStopped
from llama_index_streaming_ext.query.chat.conversation import Conversation
from llama_index_streaming_ext.query.chat.turn_memory import TurnMemory
from llama_index_streaming_ext.query.execution.query_run import QueryRun


class ChatRun(QueryRun):
    """One turn.

    Args:
        message: the user's message.
        engine: the class of the chat engine.
        conversation: the turns over the engine's memory, None if it has none.
        max_lead: as for `QueryRun`.
        on_incomplete: as for `QueryRun`.

    Attributes:
        message: the user's message.
        memory: the memory as this turn sees it; None if the engine has none.
        tool_outputs: the outputs behind the answer, which core calls `sources`.
        chat_response: core's response, once the engine has returned it.
    """

    def __init__(
        self,
        message: str,
        engine: str,
        *,
        conversation: Conversation | None,
        max_lead: int,
        on_incomplete: str,
    ) -> None:
        super().__init__(message, engine, max_lead=max_lead, on_incomplete=on_incomplete)
        self.message = message
        self.memory = TurnMemory(conversation, self.work) if conversation is not None else None
        self.tool_outputs: list[ToolOutput] = []
        self.chat_response: AgentChatResponse | None = None
        self._conversation = conversation
        self._said = False

    # The answer, said where the engine makes it

    def say_sync(self, response: Any) -> Response:
        """Write the text of a response into the log as it comes.

        Returns:
            The complete response, for the engine to go on with.
        """
        self._show_sync(response)
        self._is_said()
        return Response(self.text, source_nodes=self.sources, metadata=self.metadata)

    async def say(self, response: Any) -> Response:
        """Write the text of a response as `say_sync` does, in a task."""
        await self._show(response)
        self._is_said()
        return Response(self.text, source_nodes=self.sources, metadata=self.metadata)

    def _is_said(self) -> None:
        self._said = True
        # What an LLM is asked now is for the memory.
        self.said_by_call = False

    def _answered(self, response: Any) -> None:
        if not self._said:
            super()._answered(response)

    # The turn

    def turn_sync(self, chat: Callable[[], Any]) -> Any:
        """Run the engine and write the turn into the memory, even if its answer is not whole.

        Args:
            chat: runs the engine; returns core's response, or one whose text is still to come.
        """
        with self._turn_sync() as memory:
            response = chat()
            if not self._said:
                self.say_sync(response)
            whole = self._whole(response)
            if memory is not None:
                memory.write_sync(self.message, self.text, self._cut_off())
        return whole

    async def turn(self, chat: Callable[[], Awaitable[Any]]) -> Any:
        """Run the turn as `turn_sync` does, in a task."""
        async with self._turn() as memory:
            response = await chat()
            if not self._said:
                await self.say(response)
            whole = self._whole(response)
            if memory is not None:
                await memory.write(self.message, self.text, self._cut_off())
        return whole

    @contextmanager
    def _turn_sync(self) -> Generator[TurnMemory | None]:
        memory, conversation = self.memory, self._conversation
        if memory is None or conversation is None:
            yield None
            return
        conversation.settled_sync()
        with conversation.turn(lambda: self.done):
            try:
                yield memory
            except BaseException as error:
                with _noted_on(error):
                    memory.write_sync(self.message, self.text, _why(error))
                raise

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[TurnMemory | None]:
        memory, conversation = self.memory, self._conversation
        if memory is None or conversation is None:
            yield None
            return
        await conversation.settled()
        with conversation.turn(lambda: self.done):
            try:
                yield memory
            except BaseException as error:
                with _noted_on(error):
                    await memory.write(self.message, self.text, _why(error))
                raise

    def _whole(self, response: Any) -> StreamingResponse:
        """Keep core's response, and return a response that has no more text."""
        if self.done:
            raise StreamStopped(self.text)
        chat = response if isinstance(response, AgentChatResponse) else None
        if chat is None:
            chat = AgentChatResponse(response=self.text, sources=_sources_of(response))
        chat.source_nodes = chat.source_nodes or self.sources
        self.chat_response, self.tool_outputs = chat, chat.sources
        nothing: Any = iter(())
        return StreamingResponse(nothing, source_nodes=chat.source_nodes, metadata=self.metadata)

    def _cut_off(self) -> str | None:
        return self._incomplete.reason if self._incomplete is not None else None


def _sources_of(response: Any) -> list[ToolOutput]:
    said: Any = getattr(response, "sources", None) or []
    return [one for one in said if isinstance(one, ToolOutput)]


def _why(error: BaseException) -> str:
    """Return the reason for an incomplete answer, as the memory keeps it."""
    if isinstance(error, asyncio.CancelledError | StreamStopped):
        return "stopped"
    return error.finish_reason if isinstance(error, IncompleteResponse) else "failed"


@contextmanager
def _noted_on(error: BaseException) -> Generator[None]:
    """Add a note to an error if the memory cannot be written after it."""
    try:
        yield
    except Exception as failed:
        error.add_note(f"What there was of the answer could not be put into the memory: {failed!r}")
