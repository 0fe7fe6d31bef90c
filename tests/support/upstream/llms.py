"""The smallest LLMs that let an upstream agent run offline.

They lean on upstream only, so that a canary that fails speaks of upstream and of nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    ContentBlock,
    LLMMetadata,
    MessageRole,
    TextBlock,
    ToolCallBlock,
)
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from pydantic import PrivateAttr

if TYPE_CHECKING:
    import asyncio

    from llama_index.core.tools import BaseTool
    from workflows import Workflow
    from workflows.handler import WorkflowHandler


@dataclass(frozen=True)
class Call:
    """A tool call of the model."""

    name: str
    """The tool to call."""
    id: str
    """What ties the result to the call."""
    kwargs: dict[str, Any]
    """What the tool is called with."""

    def block(self) -> ToolCallBlock:
        """The call as a message holds it."""
        return ToolCallBlock(tool_call_id=self.id, tool_name=self.name, tool_kwargs=self.kwargs)


@dataclass(frozen=True)
class Turn:
    """One answer of the model."""

    pieces: tuple[str, ...] = ()
    """The text, as it is streamed: one chunk each."""
    calls: tuple[Call, ...] = ()
    """The tool calls, in one last chunk."""
    error: Exception | None = None
    """Raised instead of an answer."""
    gate: asyncio.Event | None = None
    """What the answer waits for before its first chunk."""

    def chunks(self) -> Iterator[ChatResponse]:
        """What a streaming call yields: cumulative messages, each with its own delta."""
        text = ""
        for piece in self.pieces:
            text += piece
            yield _response(TextBlock(text=text), delta=piece)
        if self.calls:
            yield _response(TextBlock(text=text), *(call.block() for call in self.calls), delta="")


def _response(*blocks: ContentBlock, delta: str) -> ChatResponse:
    message = ChatMessage(role=MessageRole.ASSISTANT, blocks=list(blocks))
    return ChatResponse(message=message, delta=delta)


def says(*pieces: str) -> Turn:
    """A turn that answers with text, one chunk per piece."""
    return Turn(pieces=pieces)


def calls(*names: str, **kwargs: Any) -> Turn:
    """A turn that calls tools, each with the same arguments; the ids are `call-1`, `call-2`, ..."""
    return Turn(calls=tuple(Call(name, f"call-{i}", kwargs) for i, name in enumerate(names, 1)))


def chat(agent: Workflow, message: str = "hi", **kwargs: Any) -> WorkflowHandler:
    """Run an agent or a team, through the signature that upstream does not deprecate."""
    return agent.run(user_msg=message, **kwargs)


class ScriptLLM(FunctionCallingLLM):
    """Answers with its turns, one per call, and remembers what it was asked."""

    _turns: list[Turn] = PrivateAttr()
    _prompts: list[list[ChatMessage]] = PrivateAttr(default_factory=list[list[ChatMessage]])

    def __init__(self, *turns: Turn) -> None:
        super().__init__()
        self._turns = list(turns)

    @property
    def prompts(self) -> list[list[ChatMessage]]:
        """The messages of every call so far."""
        return self._prompts

    @property
    def metadata(self) -> LLMMetadata:
        """A chat model that calls functions."""
        return LLMMetadata(is_chat_model=True, is_function_calling_model=True)

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """The next turn, chunk by chunk."""
        turn = self._next(messages)

        async def chunks() -> AsyncIterator[ChatResponse]:
            if turn.gate is not None:
                await turn.gate.wait()
            for chunk in turn.chunks():
                yield chunk

        return cast("ChatResponseAsyncGen", chunks())

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """The next turn, whole."""
        return list(self._next(messages).chunks())[-1]

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """The tool calls of the message."""
        return [
            ToolSelection(
                tool_id=block.tool_call_id or "",
                tool_name=block.tool_name,
                tool_kwargs=cast("dict[str, Any]", block.tool_kwargs),
            )
            for block in response.message.blocks
            if isinstance(block, ToolCallBlock)
        ]

    def _next(self, messages: Sequence[ChatMessage]) -> Turn:
        self._prompts.append(list(messages))
        turn = self._turns.pop(0)
        if turn.error is not None:
            raise turn.error
        return turn

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        return {"messages": chat_history or []}

    # Abstract upstream, never called by an agent.

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:  # noqa: D102
        raise NotImplementedError

    def stream_chat(  # noqa: D102
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseGen:
        raise NotImplementedError

    def complete(  # noqa: D102
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        raise NotImplementedError

    def stream_complete(  # noqa: D102
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        raise NotImplementedError

    async def acomplete(  # noqa: D102
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        raise NotImplementedError

    async def astream_complete(  # noqa: D102
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        raise NotImplementedError


class SyncLLM(CustomLLM):
    """A CustomLLM as the documents show it: `complete` and `stream_complete`, nothing async."""

    _pieces: tuple[str, ...] = PrivateAttr()
    _pulled: int = PrivateAttr(default=0)

    def __init__(self, *pieces: str) -> None:
        super().__init__()
        self._pieces = pieces

    @property
    def pulled(self) -> int:
        """How many chunks were pulled so far."""
        return self._pulled

    @property
    def metadata(self) -> LLMMetadata:
        """A plain completion model."""
        return LLMMetadata()

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """The whole text."""
        return CompletionResponse(text="".join(self._pieces))

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """The text, piece by piece."""

        def chunks() -> CompletionResponseGen:
            text = ""
            for piece in self._pieces:
                text += piece
                self._pulled += 1
                yield CompletionResponse(text=text, delta=piece)

        return chunks()
