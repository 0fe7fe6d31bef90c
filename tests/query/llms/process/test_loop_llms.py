"""Which LLM is asked on a loop, with the real OpenAI classes over a real server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast

import httpx
import pytest
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import LLM
from llama_index.core.llms.mock import MockLLM
from llama_index.llms.openai import OpenAI, OpenAIResponses
from openai import AsyncOpenAI
from openai import OpenAI as OpenAIClient

from llama_index_streaming_ext.errors import StreamStopped
from llama_index_streaming_ext.llm.streaming_llm import StreamingLLM
from llama_index_streaming_ext.query.llms.loop_llms import (
    for_background_loop,
    for_this_loop,
    register_loop_llm,
    with_own_client,
)
from llama_index_streaming_ext.testing import FakeOpenAI, FakeStreamingLLM, Turn, gate, text
from llama_index_streaming_ext.threads.from_thread import call, iterate
from llama_index_streaming_ext.threads.stop_signal import StopSignal
from tests.support.query.openai_on_loops import (
    BOTH,
    HELLO,
    Stopping,
    astreamed,
    client_of,
    in_threads,
    saying_hello,
    streamed,
    there,
    tries,
)
from tests.support.query.stopped_servers import CLOSED_WITHIN, served


@pytest.fixture
def hello() -> Iterator[FakeOpenAI]:
    """A server that says hello."""
    with saying_hello() as fake:
        yield fake


# Calls


@BOTH
def test_it_answers_as_the_sync_methods_do(api: Any, hello: FakeOpenAI) -> None:
    """Whole, and streamed."""
    llm = api(hello)()
    assert streamed(llm) == "Hello"
    answer = call(lambda: there(llm).acomplete("Hi"), StopSignal())
    assert answer.text == "Hello" == llm.complete("Hi").text
    # Upstream never closes it, and Python would tell of its connection.
    llm._client.close()


async def test_it_answers_while_a_loop_runs_in_this_thread(hello: FakeOpenAI) -> None:
    """In a notebook, whose cells may use the same LLM in their own loop."""
    llm = hello.llm()
    assert await astreamed(for_this_loop(llm)) == "Hello"
    assert streamed(llm) == "Hello"
    assert await astreamed(for_this_loop(llm)) == "Hello"


@BOTH
def test_a_stop_closes_a_stalled_stream(api: Any) -> None:
    """The server sees it, though it has nothing to send."""
    turn = Turn(text("word "), gate("never"), text("late"))

    def one(fake: FakeOpenAI) -> float:
        llm, stop = api(fake)(), StopSignal()
        chunks = iterate(lambda: cast("Any", there(llm).astream_complete("Hi")), stop)
        assert any(chunk.delta for chunk in chunks)
        stopping = Stopping(stop)
        with pytest.raises(StreamStopped):
            next(chunks)
        return stopping.seen_after(fake)

    assert served(turn, one) < CLOSED_WITHIN


@BOTH
def test_a_stop_closes_a_whole_call(api: Any) -> None:
    """Also before there is any answer, and it is not asked for again."""

    def one(fake: FakeOpenAI) -> float:
        llm, stop = api(fake)(), StopSignal()
        stopping = Stopping(stop, when=fake.wait_requests)
        with pytest.raises(StreamStopped):
            call(lambda: there(llm).acomplete("Hi"), stop)
        assert len(fake.requests) == 1
        return stopping.seen_after(fake)

    assert served(Turn(gate("never"), text("late")), one) < CLOSED_WITHIN


@BOTH
def test_one_llm_is_used_from_live_loops_and_threads_at_once(api: Any, hello: FakeOpenAI) -> None:
    """Sync, async, and by its user: no error, and no try is a second one."""
    llm = api(hello)()

    def sync() -> None:
        assert [streamed(llm) for _ in range(5)] == ["Hello"] * 5

    async def in_its_loop(mine: Callable[[LLM], LLM]) -> None:
        assert [await astreamed(mine(llm)) for _ in range(5)] == ["Hello"] * 5

    def ours() -> None:
        asyncio.run(in_its_loop(for_this_loop))

    def its_users() -> None:
        asyncio.run(_closing(llm, in_its_loop(lambda llm: llm)))

    assert in_threads(sync, sync, ours, ours, its_users) == []
    assert len(hello.requests) == 25
    assert tries(hello) == {"0"}


async def _closing(llm: Any, work: Any) -> None:
    """Does what users can do about upstream's clients, which are never closed."""
    await work
    await llm._aclient.close()


@BOTH
def test_one_llm_is_used_in_one_loop_after_another(api: Any, hello: FakeOpenAI) -> None:
    """U65: its own client would fail, and try again half a second later."""
    llm = api(hello)()

    async def ours() -> str:
        return await astreamed(for_this_loop(llm))

    assert [asyncio.run(ours()) for _ in range(3)] == ["Hello"] * 3
    assert tries(hello) == {"0"}


# Fields


@BOTH
def test_fields_that_are_changed_take_effect(api: Any, hello: FakeOpenAI) -> None:
    """At the next call."""
    llm = api(hello)(temperature=0.25)
    streamed(llm)
    llm.temperature = 0.75
    streamed(llm)
    assert [request.json["temperature"] for request in hello.requests] == [0.25, 0.75]


@BOTH
def test_what_a_client_is_made_of_may_be_changed(api: Any, hello: FakeOpenAI) -> None:
    """The next call has a new client."""
    llm = api(hello)(default_headers={"x-team": "red"})
    streamed(llm)
    llm.default_headers["x-team"] = "blue"
    streamed(llm)
    assert [request.headers["x-team"] for request in hello.requests] == ["red", "blue"]
    before = client_of(there(llm))
    llm.api_key, llm.timeout, llm.max_retries = "other-key", 7.0, 1
    after = client_of(there(llm))
    assert (before.api_key, after.api_key) == ("fake-key", "other-key")
    assert (after.timeout, after.max_retries) == (7.0, 1)


@BOTH
def test_what_belongs_to_many_is_shared(api: Any, hello: FakeOpenAI) -> None:
    """Callbacks count on it."""
    llm = api(hello)(callback_manager=CallbackManager())
    assert there(llm).callback_manager is llm.callback_manager
    llm.callback_manager = CallbackManager()
    assert there(llm).callback_manager is llm.callback_manager
    assert type(there(llm)) is type(llm)
    assert there(llm).to_dict() == llm.to_dict()


def test_the_llm_itself_is_left_alone(hello: FakeOpenAI) -> None:
    """Its user finds it as it was."""
    llm = hello.llm()
    streamed(llm)
    assert client_of(llm) is None
    assert cast("Any", llm)._client is None


# None


@BOTH
@pytest.mark.parametrize(
    "field", ["http_client", "async_http_client", "openai_client", "openai_client, used"]
)
def test_a_client_of_the_user_carries_the_requests(field: str, api: Any, hello: FakeOpenAI) -> None:
    """By the sync methods: an async client is bound to the user's own loop."""
    with httpx.Client() as sync:
        name, _, used = field.partition(", ")
        client: Any = {
            "http_client": sync,
            "async_http_client": httpx.AsyncClient(),
            "openai_client": OpenAIClient(api_key="x", base_url=hello.url, http_client=sync),
        }[name]
        llm = api(hello)(**{name: client})
        if used:
            llm.complete("Hi")
        assert for_background_loop(llm) is None


@BOTH
def test_a_client_with_settings_of_its_own_is_the_users(api: Any, hello: FakeOpenAI) -> None:
    """The fields of the LLM do not say what it would send."""
    with OpenAIClient(api_key="fake-key", base_url=hello.url, organization="mine") as client:
        assert for_background_loop(api(hello)(openai_client=client)) is None


@BOTH
async def test_an_async_client_of_the_user_is_used_as_it_is(api: Any, hello: FakeOpenAI) -> None:
    """In whatever loop they call."""
    async with AsyncOpenAI(api_key="x", base_url=hello.url) as client, httpx.AsyncClient() as http:
        for given in ({"async_openai_client": client}, {"async_http_client": http}):
            llm = api(hello)(**given)
            assert for_this_loop(llm) is llm


def test_a_client_that_the_class_has_made_is_none_of_the_users(hello: FakeOpenAI) -> None:
    """`OpenAI` keeps the one of its first sync call, also when it is changed then."""
    llm = hello.llm()
    llm.complete("Hi")
    cast("Any", llm)._client.close()
    assert streamed(llm) == "Hello"
    llm.api_key = "other-key"
    assert client_of(there(llm)).api_key == "other-key"


def test_an_llm_that_keeps_its_answers_is_asked_itself(hello: FakeOpenAI) -> None:
    """A copy would not know the id of the answer before."""
    llm = hello.responses_llm(track_previous_responses=True)
    assert for_background_loop(llm) is None


class Loud(OpenAI):
    """A user's class that answers in another way."""

    def stream_complete(self, *args: Any, **kwargs: Any) -> Any:
        """Streams."""
        return super().stream_complete(*args, **kwargs)


class Deep(OpenAIResponses):
    """A user's class that answers in another way, deep down."""

    async def _astream_chat(self, *args: Any, **kwargs: Any) -> Any:
        return await super()._astream_chat(*args, **kwargs)


class Named(OpenAI):
    """A user's class that answers as upstream's."""

    team: str = "red"

    @classmethod
    def class_name(cls) -> str:
        """Its name."""
        return "named"

    def greet(self) -> str:
        """Something new."""
        return f"Hello, {self.team}"


@pytest.mark.parametrize("cls", [Loud, Deep])
def test_a_subclass_that_answers_in_another_way_is_asked_itself(cls: Any) -> None:
    """Its override is what the user wants to be called."""
    llm = cls(api_key="x")
    assert for_background_loop(llm) is None


def test_a_subclass_that_answers_alike_has_one(hello: FakeOpenAI) -> None:
    """It is of that class, and has its fields."""
    llm = Named(api_key="fake-key", api_base=hello.url, team="blue")
    assert streamed(llm) == "Hello"
    assert cast("Named", there(llm)).greet() == "Hello, blue"


def test_a_method_that_is_patched_on_an_llm_is_called() -> None:
    """As the override of a subclass."""
    llm = OpenAI(api_key="x")
    vars(llm)["stream_chat"] = iter
    assert for_background_loop(llm) is None


def test_an_unknown_class_has_none() -> None:
    """Its client may be bound to another loop."""
    llm = MockLLM()
    assert for_background_loop(llm) is None

    async def here() -> LLM:
        return for_this_loop(llm)

    assert asyncio.run(here()) is llm


# Fakes, wrapped and registered ones


def test_a_fake_is_asked_itself_on_any_loop() -> None:
    """It has no connections, and its gates open from any thread."""
    llm = FakeStreamingLLM([Turn(text("Hel"), gate("more"), text("lo"))])
    assert for_background_loop(llm) is llm
    opened = threading.Timer(0.0, lambda: llm.open("more"))
    opened.start()
    assert streamed(llm) == "Hello"
    assert llm.calls[0].closed_by == "finished"


def test_a_fake_that_blocks_the_loop_has_none() -> None:
    """Nothing that blocks may run there."""
    assert for_background_loop(FakeStreamingLLM([HELLO], sync_only=True)) is None


def test_of_a_wrapped_llm_the_inner_one_counts(hello: FakeOpenAI) -> None:
    """The face is not for the loop."""
    assert type(for_background_loop(StreamingLLM(hello.llm()))) is OpenAI


def test_a_class_can_be_registered() -> None:
    """An integration says how its LLMs are asked on a loop."""

    class Mine(MockLLM):
        """An integration's class."""

        async def astream_complete(self, *args: Any, **kwargs: Any) -> Any:
            """Streams without blocking."""

            async def chunks() -> AsyncIterator[Any]:
                for chunk in self.stream_complete(*args, **kwargs):
                    yield chunk

            return chunks()

        async def astream_chat(self, *args: Any, **kwargs: Any) -> Any:
            """Not used here."""
            raise NotImplementedError

    llm = Mine(max_tokens=None)
    assert for_background_loop(llm) is None
    assert register_loop_llm(Mine, lambda llm, loop: llm) is Mine
    assert for_background_loop(llm) is llm
    assert streamed(llm) == "Hi"


def test_a_subclass_with_clients_as_upstreams_can_be_registered(hello: FakeOpenAI) -> None:
    """It vouches for its overrides."""

    class Vouched(OpenAI):
        """As an integration on top of upstream's class."""

        def stream_complete(self, *args: Any, **kwargs: Any) -> Any:
            """Streams."""
            return super().stream_complete(*args, **kwargs)

    register_loop_llm(Vouched, with_own_client)
    assert streamed(Vouched(api_key="fake-key", api_base=hello.url)) == "Hello"


@pytest.mark.parametrize("thing", [int, MockLLM()])
def test_only_classes_of_llms_are_registered(thing: Any) -> None:
    """The error says what it got."""
    with pytest.raises(TypeError, match="classes of LLMs, not"):
        register_loop_llm(thing, lambda llm, loop: llm)
