"""Structured answers of a fake LLM: a tool call, or JSON as text, whichever its script has."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, Generator, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.program.streaming_utils import process_streaming_content_incremental
from llama_index.core.prompts import PromptTemplate
from llama_index.core.types import PydanticProgramMode
from llama_index_instrumentation import get_dispatcher
from pydantic import BaseModel

_dispatcher = get_dispatcher(__name__)


class StructuredAnswers(FunctionCallingLLM):
    """The part of a fake LLM that fills in a pydantic class.

    A provider does so by a tool call or, if asked for a JSON schema, in its text. Which of the
    two the real class asks for depends on the model; here it depends on the turn that is next.
    """

    @abstractmethod
    def _next_is_text(self, messages: Sequence[ChatMessage], *, stream: bool) -> bool:
        """Return True to ask for JSON: the turn of these messages has no tool call."""

    @_dispatcher.span
    def structured_predict(
        self,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> BaseModel:
        """Answer a prompt with an object."""
        messages = self._as_text(prompt, prompt_args)
        if messages is None:
            kwargs = _required(llm_kwargs)
            return super().structured_predict(output_cls, prompt, kwargs, **prompt_args)
        answer = self.chat(messages, **_schema(output_cls, llm_kwargs))
        return output_cls.model_validate_json(str(answer.message.content))

    @_dispatcher.span
    async def astructured_predict(
        self,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> BaseModel:
        """Answer a prompt with an object."""
        messages = self._as_text(prompt, prompt_args)
        if messages is None:
            kwargs = _required(llm_kwargs)
            return await super().astructured_predict(output_cls, prompt, kwargs, **prompt_args)
        answer = await self.achat(messages, **_schema(output_cls, llm_kwargs))
        return output_cls.model_validate_json(str(answer.message.content))

    def _structured_stream_call(
        self,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Any, None, None]:
        messages = self._as_text(prompt, prompt_args, stream=True)
        if messages is None:
            kwargs = _required(llm_kwargs)
            yield from super()._structured_stream_call(output_cls, prompt, kwargs, **prompt_args)
            return
        partial = _Partial(output_cls)
        for chunk in self.stream_chat(messages, **_schema(output_cls, llm_kwargs)):
            yield partial.feed(chunk)

    async def _structured_astream_call(
        self,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Any, None]:
        messages = self._as_text(prompt, prompt_args, stream=True)
        if messages is None:
            kwargs = _required(llm_kwargs)
            return await super()._structured_astream_call(output_cls, prompt, kwargs, **prompt_args)

        async def gen() -> AsyncGenerator[Any, None]:
            partial = _Partial(output_cls)
            stream = await self.astream_chat(messages, **_schema(output_cls, llm_kwargs))
            async for chunk in stream:
                yield partial.feed(chunk)

        return gen()

    def _as_text(
        self, prompt: PromptTemplate, prompt_args: dict[str, Any], *, stream: bool = False
    ) -> list[ChatMessage] | None:
        """The messages to ask for JSON with; None where core's programs are to do it."""
        default = self.pydantic_program_mode == PydanticProgramMode.DEFAULT
        if not default or not self.metadata.is_function_calling_model:
            return None
        messages = self._extend_messages(prompt.format_messages(**prompt_args))
        return messages if self._next_is_text(messages, stream=stream) else None


class _Partial:
    """The object as far as it has been written."""

    def __init__(self, output_cls: type[BaseModel]) -> None:
        self._output_cls = output_cls
        self._text = ""
        self._current: Any = None

    def feed(self, chunk: ChatResponse) -> Any:
        self._text += chunk.delta or ""
        so_far = ChatResponse(message=ChatMessage(self._text))
        self._current = process_streaming_content_incremental(
            so_far, self._output_cls, self._current
        )
        return self._current


def _required(llm_kwargs: dict[str, Any] | None) -> dict[str, Any]:
    return {"tool_choice": "required", **(llm_kwargs or {})}


def _schema(output_cls: type[BaseModel], llm_kwargs: dict[str, Any] | None) -> dict[str, Any]:
    schema = {"name": output_cls.__name__, "schema": output_cls.model_json_schema()}
    asked = {"type": "json_schema", "json_schema": {**schema, "strict": True}}
    rest = {k: v for k, v in (llm_kwargs or {}).items() if k != "tool_choice"}
    return {**rest, "response_format": asked}
