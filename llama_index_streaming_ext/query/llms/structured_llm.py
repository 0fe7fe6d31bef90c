"""LLMs within a query that are asked for an object."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from llama_index_streaming_ext.llm.streaming_llm import StreamingLLM, StreamingToolLLM
from llama_index_streaming_ext.llm.structured_request import asks_past_its_chat, json_schema
from llama_index_streaming_ext.query.llms.structured_answer import (
    AskedObject,
    Output,
    asked_object,
    expect_object,
)


class ObjectSite(Protocol):
    """The query options of an LLM within a query."""

    def show(self, asked: AskedObject, output: Output | None) -> None:
        """Show what there is of an object, unless nothing is new."""
        ...


class ObjectLLM(StreamingLLM):
    """An LLM within a query, as far as it is asked for objects."""

    if not TYPE_CHECKING:
        __slots__ = ()

    async def astructured_predict(
        self,
        output_cls: type[Any],
        prompt: Any,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Any:
        """Answer a prompt with an object, in the way of the inner LLM's class."""
        with expect_object(output_cls, _shown_by(self)) as given:
            if asks_past_its_chat(self.inner):
                messages = prompt.format_messages(**prompt_args)
                kwargs = {**json_schema(output_cls), **(llm_kwargs or {})}
                answered = await self.achat(messages, **kwargs)
                return given(output_cls.model_validate_json(answered.message.content or ""))
            predict = super().astructured_predict
            return given(await predict(output_cls, prompt, llm_kwargs, **prompt_args))

    def structured_predict(
        self,
        output_cls: type[Any],
        prompt: Any,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Any:
        """Answer a prompt with an object, in the way of the inner LLM's class."""
        with expect_object(output_cls, _shown_by(self)) as given:
            if asks_past_its_chat(self.inner):
                messages = prompt.format_messages(**prompt_args)
                kwargs = {**json_schema(output_cls), **(llm_kwargs or {})}
                answered = self.chat(messages, **kwargs)
                return given(output_cls.model_validate_json(answered.message.content or ""))
            return given(super().structured_predict(output_cls, prompt, llm_kwargs, **prompt_args))


class ObjectToolLLM(ObjectLLM, StreamingToolLLM):
    """The additional methods of a wrapper whose inner LLM calls functions."""

    if not TYPE_CHECKING:
        __slots__ = ()

    def get_tool_calls_from_response(self, *args: Any, **kwargs: Any) -> Any:
        """The tool calls of an answer; where an object is asked for, the first one.

        Answers that are not streamed are cut to the first one by the provider's class.
        """
        calls: list[Any] = cast("Any", super()).get_tool_calls_from_response(*args, **kwargs)
        return calls if asked_object() is None else calls[:1]


def _shown_by(llm: StreamingLLM) -> Callable[[AskedObject, Output | None], None]:
    """Return the function that writes objects into the log of the query of an LLM."""
    site = cast("ObjectSite | None", llm.streaming_options.site)
    return site.show if site is not None else _unseen


def _unseen(asked: AskedObject, output: Output | None) -> None:
    """Outside of a query there is nobody to show an object to."""
