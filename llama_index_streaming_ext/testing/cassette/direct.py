"""Structured answers of classes that ask the provider past their own entry points.

`OpenAIResponses.structured_predict` is one. The object is recorded as the answer to a chat that
asks for its schema, which is what a `ReplayLLM` asks for.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Generator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from llama_index_streaming_ext.testing.cassette.asked import Asked
from llama_index_streaming_ext.testing.cassette.binding import Tape, bound
from llama_index_streaming_ext.testing.cassette.format.values import Answer
from llama_index_streaming_ext.testing.fake_llm.calls import Call

if TYPE_CHECKING:
    from llama_index_streaming_ext.testing.cassette.recording import Take

_seen: ContextVar[list[Call] | None] = ContextVar("calls of a structured answer", default=None)


def note(call: Call) -> None:
    """Note that a call went through an entry point."""
    if (seen := _seen.get()) is not None:
        seen.append(call)


def asked_for(
    output_cls: type[BaseModel],
    prompt: PromptTemplate,
    llm_kwargs: Mapping[str, Any] | None,
    prompt_args: Mapping[str, Any],
) -> Asked:
    """A structured answer as a chat.

    Args:
        output_cls: the class of the object.
        prompt: the prompt.
        llm_kwargs: what is passed to the LLM beside.
        prompt_args: what the prompt is filled in with.
    """
    schema = {"type": "json_schema", "json_schema": {"name": output_cls.__name__}}
    kwargs = {**(llm_kwargs or {}), "response_format": schema}
    return Asked.of("chat", False, (prompt.format_messages(**prompt_args),), kwargs).directly()


class DirectTake:
    """The recording of a structured answer that did not come through an entry point.

    Args:
        tape: the tape that the answer is recorded on.
        take: the recording of this call.
        asked: the call.
    """

    def __init__(self, tape: Tape, take: Take, asked: Asked) -> None:
        self._tape = tape
        self._take = take
        self._asked = asked
        self._answer: ChatResponse | None = None

    def answered(self, answer: object) -> None:
        """Keep the object as the answer."""
        if isinstance(answer, BaseModel):
            said = ChatMessage(answer.model_dump_json(), role="assistant")
            self._answer = ChatResponse(message=said)

    @contextlib.contextmanager
    def open(self) -> Generator[None]:
        """Record the call that is made in the block."""
        calls: list[Call] = []
        token = _seen.set(calls)
        try:
            yield
        except BaseException as error:
            if not calls:
                self._write(error)
            raise
        finally:
            _seen.reset(token)
        if not calls:
            self._write()

    def _write(self, error: BaseException | None = None) -> None:
        with self._tape.called(self._asked).open(), self._take.open(at_call=True):
            if error is not None:
                raise error
            if self._answer is not None:
                self._take.chunk(self._answer)


def _text(answer: Answer) -> str:
    return str(answer.message.content) if isinstance(answer, ChatResponse) else answer.text


def structured(cls: type, name: str) -> Any:
    """`structured_predict` of a class, recorded and replayed.

    Args:
        cls: the class.
        name: the name of the method.
    """
    original = getattr(cls, name)

    @functools.wraps(original, updated=())
    def method(
        llm: Any,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Any:
        binding = bound(llm)
        ask = functools.partial(original, llm, output_cls, prompt, llm_kwargs, **prompt_args)
        if binding.inner is None:
            return ask()
        asked = asked_for(output_cls, prompt, llm_kwargs, prompt_args)
        if binding.tape.has_direct(asked, binding.model):
            call = binding.tape.called(asked)
            answer = binding.tape.replayer.whole(asked, binding.model, call)
            return output_cls.model_validate_json(_text(answer))
        if (take := binding.tape.take(binding.inner, asked)) is None:
            return ask()
        recording = DirectTake(binding.tape, take, asked)
        with recording.open():
            answer = ask()
            recording.answered(answer)
        return answer

    return method


def astructured(cls: type, name: str) -> Any:
    """`astructured_predict` of a class, recorded and replayed.

    Args:
        cls: the class.
        name: the name of the method.
    """
    original = getattr(cls, name)

    @functools.wraps(original, updated=())
    async def method(
        llm: Any,
        output_cls: type[BaseModel],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Any:
        binding = bound(llm)
        ask = functools.partial(original, llm, output_cls, prompt, llm_kwargs, **prompt_args)
        if binding.inner is None:
            return await ask()
        asked = asked_for(output_cls, prompt, llm_kwargs, prompt_args)
        if binding.tape.has_direct(asked, binding.model):
            call = binding.tape.called(asked)
            answer = await binding.tape.replayer.awhole(asked, binding.model, call)
            return output_cls.model_validate_json(_text(answer))
        if (take := binding.tape.take(binding.inner, asked)) is None:
            return await ask()
        recording = DirectTake(binding.tape, take, asked)
        with recording.open():
            answer = await ask()
            recording.answered(answer)
        return answer

    return method
