"""An LLM that replays a cassette and calls nobody."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, LLMMetadata
from llama_index.core.bridge.pydantic import Field
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools import BaseTool

from llama_index_streaming_ext.testing.cassette.asked import Asked
from llama_index_streaming_ext.testing.cassette.binding import bound
from llama_index_streaming_ext.testing.cassette.errors import CassetteMismatch
from llama_index_streaming_ext.testing.cassette.format.file import RecordedCall
from llama_index_streaming_ext.testing.fake_llm.calls import Call
from llama_index_streaming_ext.testing.fake_llm.fold_chat import one_call_only
from llama_index_streaming_ext.testing.fake_llm.structured import StructuredAnswers
from llama_index_streaming_ext.testing.fake_llm.tool_format import (
    chat_with_tools_kwargs,
    tool_selections,
)


class ReplayLLM(StructuredAnswers, ABC):
    """An LLM that replays a cassette, without the one that was recorded.

    `replay_llm(path)` makes it. It is a `FunctionCallingLLM`: agents, query engines and chat
    engines run on it as they ran on the recorded one, whatever its class was.
    """

    described: LLMMetadata = Field(description="The metadata of the LLM that was recorded.")

    @classmethod
    def class_name(cls) -> str:
        """Return the name of the class in payloads."""
        return "replay_llm"

    @property
    def metadata(self) -> LLMMetadata:
        """The abilities that the recorded LLM reported."""
        return self.described

    @property
    def calls(self) -> list[Call]:
        """The calls so far, in the order in which they were made."""
        return bound(self).tape.calls

    @property
    def left(self) -> list[RecordedCall]:
        """The recordings that no call has taken yet."""
        return bound(self).tape.left

    @property
    def mismatches(self) -> list[CassetteMismatch]:
        """The calls that had no recording."""
        return bound(self).tape.mismatches

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """Return the tool calls of a chunk or an answer, as far as arguments can be read."""
        return tool_selections(response, "chat", required=error_on_no_tool_call)

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        tool_choice: str | dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        asked = [ChatMessage(user_msg)] if isinstance(user_msg, str) else [user_msg]
        messages = [*(chat_history or ()), *(m for m in asked if m is not None)]
        offered = chat_with_tools_kwargs(
            tools,
            "chat",
            parallel=allow_parallel_tool_calls,
            choice=tool_choice,
            required=tool_required,
        )
        return {"messages": messages, **offered, **kwargs}

    def _validate_chat_with_tools_response(
        self,
        response: ChatResponse,
        tools: Sequence[BaseTool],
        allow_parallel_tool_calls: bool = False,
        **kwargs: Any,
    ) -> ChatResponse:
        if not allow_parallel_tool_calls:
            one_call_only(response)
        return response

    def _next_is_text(self, messages: Sequence[ChatMessage], *, stream: bool) -> bool:
        asked = Asked.of("chat", stream, (messages,), {})
        found = bound(self).tape.similar(asked)
        return found is not None and not found.request.get("kwargs", {}).get("tools")


def described_by(llm: dict[str, Any]) -> LLMMetadata:
    """The metadata of an LLM as a cassette says it.

    Args:
        llm: what the cassette says.
    """
    return LLMMetadata.model_validate(
        {"is_function_calling_model": True, **llm.get("metadata", {})}
    )
