"""Extractors that users register, and whose word counts as the end."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.llms.openai import OpenAI, OpenAIResponses

from llama_index_streaming_ext.llm.finish.reader import (
    Finish,
    FinishReader,
    reader_for,
    register_finish_reason,
)
from llama_index_streaming_ext.llm.overlay import wrap
from llama_index_streaming_ext.testing import FakeStreamingLLM


def read(reader: FinishReader, shown: list[Any]) -> Finish | None:
    """What a reader says after it has seen all."""
    for raw in shown:
        reader.see(raw)
    return reader.finish


def choice(**fields: Any) -> dict[str, Any]:
    """A chunk of Chat Completions as a dict."""
    return {"choices": [{"index": 0, "delta": {}, **fields}]}


class OtherServer(OpenAI):
    """A class of another integration."""

    __module__ = "llama_index.llms.openai_like.base"


class Logged(OpenAI):
    """A user's own subclass that changes nothing."""


class Filtered(FakeStreamingLLM):
    """A user's own subclass that streams in its own way."""

    def stream_chat(self, messages: Any, **kwargs: Any) -> Any:
        """Hides the last chunk."""
        yield from list(super().stream_chat(messages, **kwargs))[:-1]


def test_who_says_its_end() -> None:
    """The real classes and the fake do; other servers, and who streams its own way, may not."""
    says = {
        type(llm).__name__: reader_for(llm).says_its_end
        for llm in (
            OpenAI(model="gpt-4o-mini", api_key="x"),
            OpenAIResponses(model="gpt-4o-mini", api_key="x"),
            FakeStreamingLLM(),
            Logged(model="gpt-4o-mini", api_key="x"),
            OtherServer(model="gpt-4o-mini", api_key="x"),
            Filtered(),
            MockLLM(max_tokens=None),
        )
    }
    assert says == {
        "OpenAI": True,
        "OpenAIResponses": True,
        "FakeStreamingLLM": True,
        "Logged": True,
        "OtherServer": False,
        "Filtered": False,
        "MockLLM": False,
    }


def test_a_user_s_subclass_at_another_server_is_not_trusted() -> None:
    """A user's subclass that talks to a server of its own may be of any provider."""
    llm = Logged(model="gpt-4o-mini", api_key="x", api_base="http://localhost:8000/v1")
    assert not reader_for(llm).says_its_end


class Face:
    """A face that changes nothing."""

    __slots__ = ()


def test_a_wrapped_llm_is_read_as_what_it_wraps() -> None:
    """A wrapper says its end as the LLM in it does, and has its extractor."""
    reader = reader_for(wrap(FakeStreamingLLM(), Face, None))
    assert read(reader, [choice(finish_reason="length")]) == Finish("length")
    assert reader.says_its_end


class Named(MockLLM):
    """An LLM with a way of its own, known by its name."""

    @classmethod
    def class_name(cls) -> str:
        """Its name."""
        return "named_for_finish"


class Classed(MockLLM):
    """An LLM with a way of its own, known by its class."""


class Heir(Classed):
    """A subclass of it."""


def why(raw: Any) -> str | None:
    """How these LLMs say it."""
    return raw.get("why")


def test_an_extractor_for_a_class_reads_its_subclasses_too() -> None:
    """What is registered for a class holds for its subclasses."""
    register_finish_reason(Classed, why, says_its_end=True)
    reader = reader_for(Heir(max_tokens=None))
    assert read(reader, [{}, {"why": "MAX_TOKENS"}]) == Finish("length")
    assert reader.says_its_end


def test_the_nearest_class_counts() -> None:
    """What is registered for a subclass comes before what is registered for its base."""
    register_finish_reason(Classed, why)

    class Nearer(Classed):
        pass

    register_finish_reason(Nearer, lambda raw: Finish("failed", str(raw)))
    assert read(reader_for(Nearer(max_tokens=None)), ["x"]) == Finish("failed", "x")


def test_an_extractor_for_a_class_name() -> None:
    """What is registered for a name holds for LLMs that go by it."""
    register_finish_reason("named_for_finish", why)
    assert read(reader_for(Named(max_tokens=None)), [{"why": "end_turn"}]) == Finish("stop")
    assert not reader_for(Named(max_tokens=None)).says_its_end


def test_an_extractor_for_a_look() -> None:
    """What is registered for a look reads a call from the first chunk that has it."""

    def looks(raw: Any) -> bool:
        return isinstance(raw, dict) and "looks_like_finish" in raw

    register_finish_reason(looks, why, says_its_end=True)
    reader = reader_for(MockLLM(max_tokens=None))
    assert read(reader, [{"why": "stop"}]) is None
    assert not reader.says_its_end
    reader.see({"looks_like_finish": 1})
    assert reader.says_its_end
    assert read(reader, [{"why": "length"}]) == Finish("length")


def test_what_is_registered_comes_before_what_is_known() -> None:
    """A user's extractor replaces a built-in one."""

    class Own(FakeStreamingLLM):
        pass

    register_finish_reason(Own, why)
    assert read(reader_for(Own()), [choice(finish_reason="stop") | {"why": "pause"}]) == Finish(
        "pause"
    )


def test_an_extractor_s_refusals_are_joined() -> None:
    """A registered extractor gives a refusal fragment by fragment."""

    class Refusing(MockLLM):
        pass

    register_finish_reason(Refusing, lambda raw: Finish("refusal", raw))
    reader = reader_for(Refusing(max_tokens=None))
    assert read(reader, ["I'm", " sorry"]) == Finish("refusal", "I'm sorry")


def test_an_extractor_that_returns_something_else_is_told() -> None:
    """An extractor that returns neither a Finish nor a str nor None is a TypeError."""

    class Wrong(MockLLM):
        pass

    register_finish_reason(Wrong, lambda raw: 7)  # pyright: ignore
    with pytest.raises(TypeError, match="returned 7: it should return a Finish, a str or None"):
        reader_for(Wrong(max_tokens=None)).see("x")


@pytest.mark.parametrize("shape", [7, None, dict, ChatMessage])
def test_a_shape_that_is_none_is_told(shape: Any) -> None:
    """What is no LLM class, no name and no function is a TypeError."""
    with pytest.raises(TypeError, match="shape= is a subclass of LLM"):
        register_finish_reason(shape, why)


def test_an_extractor_that_cannot_be_called_is_told() -> None:
    """An extractor that is no function is a TypeError."""
    with pytest.raises(TypeError, match="extractor= is a function of a raw chunk, not 'stop'"):
        register_finish_reason("x", "stop")  # pyright: ignore
