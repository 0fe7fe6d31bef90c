"""Providers are asked for the usage where they know the question."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from llama_index.core.llms import LLM, ChatMessage, MockLLM
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI, OpenAIResponses

from llama_index_streaming_ext.events.usage import Usage, usage_of
from llama_index_streaming_ext.llm.request_options import usage_kwargs
from llama_index_streaming_ext.testing import FakeOpenAI, FakeStreamingLLM, Turn, text, usage

ASK = [ChatMessage("Hi")]
ASKED = {"stream_options": {"include_usage": True}}


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


TOOLS = [FunctionTool.from_defaults(weather)]
STREAMING = {
    "stream_chat": (ASK,),
    "stream_complete": ("Hi",),
    "stream_chat_with_tools": (TOOLS, "Hi"),
}
"""The methods that stream, and what they are called with."""

every_method = pytest.mark.parametrize(
    "method", [face + m for m in STREAMING for face in ("", "a")]
)


async def chunks(llm: LLM, method: str, **more: Any) -> list[Any]:
    """The chunks of a call, sync or async."""
    kwargs = {**more, **usage_kwargs(llm, method, more)}
    stream: Any = getattr(llm, method)(*STREAMING[method.removeprefix("a")], **kwargs)
    if inspect.isawaitable(stream):
        return [chunk async for chunk in await stream]
    return list(stream)


def used(shown: list[Any]) -> list[Usage]:
    """The usages in a stream."""
    return [found for chunk in shown if (found := usage_of(chunk.raw)) is not None]


@every_method
async def test_the_real_class_is_asked(method: str) -> None:
    """The real class passes the option on, by every method, and the usage comes."""
    fake = FakeOpenAI([Turn(text("It", " is"), usage(7, 2))])
    async with fake.mock():
        shown = await chunks(fake.llm(), method)
    assert fake.requests[0].json["stream_options"] == {"include_usage": True}
    assert used(shown) == [Usage(7, 2, calls=1)]


@every_method
async def test_the_fake_is_asked(method: str) -> None:
    """The fake passes the option on, by every method, and the usage comes."""
    shown = await chunks(FakeStreamingLLM([Turn(text("It", " is"), usage(7, 2))]), method)
    assert used(shown) == [Usage(7, 2, calls=1)]


@every_method
async def test_the_responses_class_is_not_asked(method: str) -> None:
    """The Responses API does not know the option, and says its usage by itself."""
    fake = FakeOpenAI([Turn(text("It", " is"), usage(7, 2))])
    async with fake.mock():
        shown = await chunks(fake.responses_llm(), method)
    assert "stream_options" not in fake.requests[0].json
    assert used(shown) == [Usage(7, 2, calls=1)]


@every_method
async def test_what_the_user_asks_stays(method: str) -> None:
    """Where the user gives the option with the call, that is what is sent."""
    fake = FakeOpenAI([Turn(text("It", " is"))])
    own = {"include_usage": False}
    async with fake.mock():
        await chunks(fake.llm(), method, stream_options=own)
    assert fake.requests[0].json["stream_options"] == own


@every_method
async def test_what_the_llm_always_sends_stays(method: str) -> None:
    """Where the LLM has the option in its `additional_kwargs`, that is what is sent."""
    fake = FakeOpenAI([Turn(text("It", " is"))])
    own = {"include_usage": False}
    async with fake.mock():
        await chunks(fake.llm(additional_kwargs={"stream_options": own}), method)
    assert fake.requests[0].json["stream_options"] == own


def openai(cls: type[OpenAI] = OpenAI, **kwargs: Any) -> OpenAI:
    """A real class, with no server."""
    return cls(model="gpt-4o-mini", api_key="not-a-key", **kwargs)


class OpenAILike(OpenAI):
    """A class of another integration."""

    __module__ = "llama_index.llms.openai_like.base"


class AzureOpenAI(OpenAI):
    """A class of another integration that has OpenAI's `api_base` all the same."""

    __module__ = "llama_index.llms.azure_openai.base"


class Own(OpenAI):
    """A user's own class."""


class OwnLike(OpenAILike):
    """A user's own class for another server."""


class OwnFake(FakeStreamingLLM):
    """A user's own fake."""


def asked(llm: LLM) -> bool:
    """Whether an LLM is asked for its usage."""
    return usage_kwargs(llm, "astream_chat", {}) == ASKED


LOCAL = "http://localhost:8000/v1"
LLMS: dict[str, tuple[LLM, bool]] = {
    "OpenAI": (openai(), True),
    "OpenAI, another server": (openai(api_base=LOCAL), True),
    "a user's own": (openai(Own), True),
    "a user's own, OpenAI in Europe": (openai(Own, api_base="https://eu.api.openai.com/v1"), True),
    "a user's own, another server": (openai(Own, api_base=LOCAL), False),
    "a user's own, a server with a like name": (
        openai(Own, api_base="https://notopenai.com"),
        False,
    ),
    "OpenAILike": (openai(OpenAILike), False),
    "a user's own OpenAILike": (openai(OwnLike), False),
    "AzureOpenAI": (openai(AzureOpenAI), False),
    "OpenAIResponses": (OpenAIResponses(model="gpt-4o-mini", api_key="not-a-key"), False),
    "the fake": (FakeStreamingLLM(), True),
    "the fake of the Responses API": (FakeStreamingLLM(dialect="responses"), False),
    "a user's own fake": (OwnFake(), True),
    "core's mock": (MockLLM(max_tokens=None), False),
}


@pytest.mark.parametrize("name", LLMS)
def test_who_is_asked(name: str) -> None:
    """Only who is known to know the option is asked."""
    llm, expected = LLMS[name]
    assert asked(llm) is expected


@pytest.mark.parametrize(
    "method",
    ["chat", "achat", "complete", "achat_with_tools", "astream_structured_predict", "stream"],
)
def test_other_methods_are_left_alone(method: str) -> None:
    """What does not stream, or takes no arguments for the provider, gets none."""
    assert usage_kwargs(FakeStreamingLLM(), method, {}) == {}


def test_the_arguments_of_the_user_are_not_changed() -> None:
    """What is to be added is returned, and the given arguments are left as they are."""
    kwargs = {"temperature": 0}
    assert usage_kwargs(FakeStreamingLLM(), "astream_chat", kwargs) == ASKED
    assert kwargs == {"temperature": 0}


async def test_each_call_has_options_of_its_own() -> None:
    """Changing what one call got changes nothing for the next."""
    llm = FakeStreamingLLM()
    usage_kwargs(llm, "astream_chat", {})["stream_options"].clear()
    assert asked(llm)
