"""LLMs of every kind to wrap, and a face to wrap them with."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

from llama_index.core.base.llms.types import ChatMessage, CompletionResponse, LLMMetadata
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import LLM, CustomLLM, MockLLM
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.llms.openai import OpenAI, OpenAIResponses
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from llama_index_streaming_ext.llm.overlay import inner_of, wrap
from llama_index_streaming_ext.testing import FakeStreamingLLM

HI = [ChatMessage("hi")]
OPTIONS = ("some", "options")

CHATS: list[Any] = []
"""Whom the face was asked to chat with. Not on the face: it would be an annotation of the LLM."""


class Face:
    """Notes the chats, and delegates them."""

    __slots__ = ()

    def __new__(cls, llm: LLM, options: object = OPTIONS) -> Any:
        """Wrap, as the real face does."""
        return wrap(llm, Face, options)

    def chat(self, messages: Any, **kwargs: Any) -> Any:
        """Note it and delegate."""
        CHATS.append(self)
        return cast(Any, inner_of(self)).chat(messages, **kwargs)


def wrapped(llm: Any, *options: object) -> Any:
    """The LLM with the face, loosely typed."""
    return cast(Any, Face)(llm, *options)


def class_of(llm: object) -> Any:
    """The class of an LLM, loosely typed."""
    return type(llm)


class Album(BaseModel):
    """An album of music."""

    name: str


class Defaults:
    """Gives an attribute that instances shadow."""

    _shadowed = "class"


class Mine(Defaults, OpenAI):
    """A user's class with something of everything."""

    __slots__ = ("_slot",)
    __hash__ = OpenAI.__hash__  # stays None

    extra: int = 1
    _private: list[int] = PrivateAttr(default_factory=list[int])

    @property
    def doubled(self) -> int:
        """A property that can be set."""
        return self.extra * 2

    @doubled.setter
    def doubled(self, value: int) -> None:
        self.extra = value // 2

    @functools.cached_property
    def cached(self) -> object:
        """One object for each instance."""
        return object()


class Echo(CustomLLM):
    """The least that a custom LLM needs."""

    @property
    def metadata(self) -> LLMMetadata:
        """Nothing but defaults."""
        return LLMMetadata()

    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        """Say it again."""
        return CompletionResponse(text=prompt)

    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
        """Say it again, in one piece."""
        yield CompletionResponse(text=prompt, delta=prompt)


class Checked(Echo):
    """Validates what is assigned to it."""

    model_config = ConfigDict(validate_assignment=True)
    limit: int = Field(default=1, ge=0)


class Past(Checked):
    """Writes one attribute past pydantic."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "seen":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)


class Frozen(Echo):
    """Cannot be changed, so it can be hashed."""

    model_config = ConfigDict(frozen=True)
    callback_manager: CallbackManager = Field(default=CallbackManager(), exclude=True)
    messages_to_prompt: Any = str
    completion_to_prompt: Any = str

    def __hash__(self) -> int:
        """By its name."""
        return hash(self.class_name())


MAKERS: dict[str, Callable[[], LLM]] = {
    "OpenAI": lambda: OpenAI(api_key="x"),
    "OpenAIResponses": lambda: OpenAIResponses(api_key="x"),
    "Mine": lambda: Mine(api_key="x"),
    "FakeStreamingLLM": FakeStreamingLLM,
    "MockLLM": MockLLM,
    "Echo": Echo,
    "Checked": Checked,
    "StructuredLLM": lambda: StructuredLLM(llm=MockLLM(), output_cls=Album),
}
