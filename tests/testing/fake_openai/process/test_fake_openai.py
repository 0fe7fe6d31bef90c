"""FakeOpenAI as the real LlamaIndex classes see it, over a real socket and in process."""

from __future__ import annotations

import threading

import httpx
import pytest
from llama_index.core.tools import FunctionTool

from llama_index_streaming_ext.testing import (
    FakeOpenAI,
    NotServed,
    Turn,
    comment,
    gate,
    text,
    tool_call,
    usage,
)
from tests.support.testing.fake_openai_ways import (
    ASK,
    Model,
    Way,
    adeltas,
    both_models,
    both_ways,
    deltas,
    first_text,
)

splits = pytest.mark.parametrize("split", ["byte", "random:7", [3, 50, 1000]], ids=str)


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


TOOL = FunctionTool.from_defaults(weather)


@both_ways
@both_models
def test_text_streams_in_the_deltas_of_the_script(way: Way, model: Model) -> None:
    """Each string of `text(...)` is one delta of the sync stream."""
    fake = FakeOpenAI([Turn(text("Grüß", " dich", "!"))])
    with way(fake):
        assert [delta for delta in deltas(model(fake)) if delta] == ["Grüß", " dich", "!"]


@both_ways
@both_models
async def test_text_streams_to_async_clients(way: Way, model: Model) -> None:
    """Each string of `text(...)` is one delta of the async stream."""
    fake = FakeOpenAI([Turn(text("Grüß", " dich", "!"))])
    async with way(fake):
        assert [delta for delta in await adeltas(model(fake)) if delta] == ["Grüß", " dich", "!"]


@both_ways
@both_models
def test_an_answer_that_is_not_streamed(way: Way, model: Model) -> None:
    """`chat` gets the whole text in one JSON body."""
    fake = FakeOpenAI([Turn(text("Hello", "!"))])
    with way(fake):
        assert model(fake).chat(ASK).message.content == "Hello!"


@both_ways
@both_models
def test_tool_calls_arrive_whole(way: Way, model: Model) -> None:
    """The arguments that stream in fragments add up to the call's."""
    fake = FakeOpenAI([Turn(tool_call("weather", city="Paris"))])
    with way(fake):
        llm = model(fake)
        *_, last = llm.stream_chat_with_tools([TOOL], user_msg="Weather?")
        (call,) = llm.get_tool_calls_from_response(last)
        assert (call.tool_name, call.tool_kwargs) == ("weather", {"city": "Paris"})


@both_ways
def test_usage_comes_when_it_is_asked_for(way: Way) -> None:
    """The last chunk has the usage of the script."""
    fake = FakeOpenAI([Turn("Hello", usage(12, 3))])
    with way(fake):
        llm = fake.llm(additional_kwargs={"stream_options": {"include_usage": True}})
        *_, last = llm.stream_chat(ASK)
        assert last.raw is not None
        assert last.raw.usage.total_tokens == 15


@both_ways
@both_models
@splits
def test_cutting_the_bytes_changes_nothing(way: Way, model: Model, split: str | list[int]) -> None:
    """A stream that is cut inside lines and characters gives the deltas of an uncut one."""
    script = [Turn(text("Grüß", " dich, 世界", "!"), tool_call("weather", city="Köln"))]

    def answer(fake: FakeOpenAI) -> list[str]:
        with way(fake):
            return deltas(model(fake))

    assert answer(FakeOpenAI(script, split=split)) == answer(FakeOpenAI(script))


@both_ways
@both_models
@pytest.mark.parametrize("option", ["crlf", "comments"])
def test_other_forms_of_event_streams(way: Way, model: Model, option: str) -> None:
    """Comments between the events and CR LF line ends change no delta."""
    forms = {"crlf": False, "comments": False, option: True}
    fake = FakeOpenAI(
        [Turn(text("a", "b"))], crlf=forms["crlf"], comments=forms["comments"], split="byte"
    )
    with way(fake):
        assert [delta for delta in deltas(model(fake)) if delta] == ["a", "b"]


def test_a_comment_where_the_script_says() -> None:
    """`comment()` is a line that the client skips."""
    fake = FakeOpenAI([Turn(text("a"), comment(), text("b"))])
    with fake.serve():
        assert "".join(deltas(fake.llm())) == "ab"


def test_a_function_as_script_sees_the_request() -> None:
    """A script may answer what was asked."""
    fake = FakeOpenAI(lambda request: f"You said {request.last}")
    with fake.serve():
        assert fake.llm().chat(ASK).message.content == "You said Hi"


def test_many_connections_at_once() -> None:
    """Fifty streams that are open together each get their own answer."""
    fake = FakeOpenAI([Turn(text("a"), gate("all"), text("b"))] * 50)
    with fake.serve():
        streams = [fake.llm().stream_chat(ASK) for _ in range(50)]
        firsts = [first_text(stream) for stream in streams]
        fake.open("all")
        rests = ["".join(chunk.delta or "" for chunk in stream) for stream in streams]
    assert (firsts, rests) == (["a"] * 50, ["b"] * 50)


# Where it answers


def test_an_llm_without_a_place_to_answer() -> None:
    """`llm()` outside of `serve()` and `mock()` says what to do."""
    with pytest.raises(NotServed, match=r"fake\.serve\(\)"):
        FakeOpenAI([]).llm()


def test_the_url_is_gone_after_the_block() -> None:
    """After `serve()` there is no URL any more."""
    fake = FakeOpenAI([])
    with fake.serve() as url:
        assert fake.url == url
    with pytest.raises(NotServed):
        _ = fake.url


def test_function_calling_is_on() -> None:
    """The default model is one that the real class knows to call functions."""
    with FakeOpenAI([]).serve() as _, (fake := FakeOpenAI([])).serve():
        assert fake.llm().metadata.is_function_calling_model


def test_serving_leaves_no_thread() -> None:
    """After the block the server's thread is gone, whatever was going on."""
    before = set(threading.enumerate())
    fake = FakeOpenAI([Turn(text("a"), gate("never"))])
    with fake.serve():
        stream = fake.llm().stream_chat(ASK)
        first_text(stream)
    assert set(threading.enumerate()) <= before
    assert fake.requests[0].ended_by == "server"
    with pytest.raises(httpx.TransportError):
        list(stream)


def test_other_hosts_are_refused_in_process() -> None:
    """In process nothing but the mocked URL and this machine is reached."""
    with FakeOpenAI([]).mock(), pytest.raises(AssertionError, match="not mocked"):
        httpx.get("https://example.invalid/")


def test_a_served_fake_inside_a_mocked_one() -> None:
    """Requests to this machine pass through `mock()`."""
    served = FakeOpenAI(["over the wire"])
    with FakeOpenAI([]).mock(), served.serve():
        assert served.llm().complete("Hi").text == "over the wire"


def test_mocking_another_url() -> None:
    """`base_url` is where the mock answers."""
    fake = FakeOpenAI(["Hello"])
    with fake.mock(base_url="https://gateway.test/v1") as url:
        assert url == "https://gateway.test/v1"
        assert fake.llm().complete("Hi").text == "Hello"
