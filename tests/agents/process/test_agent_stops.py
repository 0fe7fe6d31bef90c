"""Stopping a run closes every HTTP stream that it has open, and not only some time (L8)."""

# Core marks its own `run(user_msg=...)` as deprecated, and its handler is of an unknown type.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportDeprecated=false

from __future__ import annotations

import asyncio
import gc
import time
import warnings
from collections.abc import Callable, Generator
from typing import Any

import pytest

from llama_index_streaming_ext import (
    AgentWorkflow,
    CodeActAgent,
    Event,
    FunctionAgent,
    LLMCallFinished,
    ReActAgent,
    StreamingHandler,
    StreamingLLM,
    forward,
)
from llama_index_streaming_ext.testing import FakeOpenAI, ReceivedRequest, Turn, tool_call, usage
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.provider_llms import DIALECTS, real
from tests.support.stopped_requests import STALLED, STORY, BeingAnswered

PATIENCE = 120.0
"""Seconds after which a test has failed, instead of waiting for ever."""


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Generator[None]:
    """The stream is closed without the garbage collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def streaming(fake: FakeOpenAI, count: int = 1) -> ReceivedRequest:
    """Wait until the last of so many requests is being answered."""
    await asyncio.to_thread(fake.wait_requests, count, PATIENCE)
    request = fake.requests[count - 1]
    async with asyncio.timeout(PATIENCE):
        while request.bytes_sent < 300:  # noqa: ASYNC110 - the server is a thread without events
            await asyncio.sleep(0.001)
    return request


async def cancel_run(handler: StreamingHandler) -> None:
    """As users should."""
    await handler.cancel_run()


async def cancel_hard(handler: StreamingHandler) -> None:
    """In the deprecated way."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        handler.cancel()


async def leave(handler: StreamingHandler) -> None:
    """Leave the block that owns it."""
    async with handler:
        pass


async def cancel_who_awaits(handler: StreamingHandler) -> None:
    """Cancel the task that awaits it."""

    async def awaits() -> None:
        await handler

    task = asyncio.create_task(awaits())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


WAYS: list[Any] = [cancel_run, cancel_hard, leave, cancel_who_awaits]


async def stops(handler: StreamingHandler, way: Any, request: ReceivedRequest) -> None:
    """Stop a run, and check that it closes a request."""
    being_answered = BeingAnswered(request)
    await way(handler)
    await request.await_closed(PATIENCE)
    being_answered.check_closed_soon()
    async with asyncio.timeout(PATIENCE):
        assert (await handler.outcome()).status == "cancelled"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("parts", [STORY, STALLED], ids=["goes on", "stalled"])
async def test_an_agent(way: Any, dialect: Dialect, parts: list[Any]) -> None:
    """In every way to stop it, also while the provider is silent."""
    fake = FakeOpenAI([Turn(*parts)])
    with fake.serve():
        handler = FunctionAgent(llm=real(fake, dialect)).run(user_msg="a story")
        await stops(handler, way, await streaming(fake))
        fake.open("never")
        assert len(fake.requests) == 1


def execute(code: str) -> str:
    """Runs nothing."""
    return code


def agents(llm: Any) -> dict[str, Callable[[], Any]]:
    """Every kind of agent."""
    return {
        "function": lambda: FunctionAgent(llm=llm),
        "react": lambda: ReActAgent(llm=llm),
        "codeact": lambda: CodeActAgent(llm=llm, code_execute_fn=execute),
        "workflow": lambda: AgentWorkflow(agents=[FunctionAgent(llm=llm)]),
        "no wrapper": lambda: FunctionAgent(llm=llm, streaming_llm=False),
        "own wrapper": lambda: FunctionAgent(llm=StreamingLLM(llm, max_lead=4)),
        "no stream": lambda: FunctionAgent(llm=llm, streaming=False),
    }


@pytest.mark.parametrize("kind", list(agents(None)))
@pytest.mark.parametrize("way", [cancel_run, leave])
async def test_every_kind_of_agent(way: Any, kind: str) -> None:
    """Whoever reads its LLM."""
    fake = FakeOpenAI([Turn(*STORY)])
    with fake.serve():
        handler = agents(fake.llm())[kind]().run(user_msg="a story")
        if kind == "no stream":
            (request,) = await asyncio.to_thread(fake.wait_requests, 1, PATIENCE)
        else:
            request = await streaming(fake)
        await stops(handler, way, request)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("forwards", [True, False])
async def test_an_agent_in_a_tool_stops_with_the_one_that_called_it(
    way: Any, forwards: bool
) -> None:
    """And with that its HTTP stream."""
    fake = FakeOpenAI([Turn(tool_call("ask")), Turn(*STORY)])
    with fake.serve():
        inner = FunctionAgent(name="inner", llm=fake.llm())

        async def ask() -> str:
            """Asks the other agent."""
            handler = inner.run(user_msg="a story")
            return str(await (forward(handler) if forwards else handler))

        handler = FunctionAgent(llm=fake.llm(), tools=[ask]).run(user_msg="ask")
        await stops(handler, way, await streaming(fake, 2))


async def test_an_agent_that_a_tool_only_reads_stops_too() -> None:
    """U5: upstream it goes on."""
    fake = FakeOpenAI([Turn(tool_call("ask")), Turn(*STORY)])
    with fake.serve():
        inner = FunctionAgent(name="inner", llm=fake.llm())

        async def ask() -> str:
            """Asks the other agent."""
            handler = inner.run(user_msg="a story")
            return "".join([delta async for delta in handler.text_stream()])

        handler = FunctionAgent(llm=fake.llm(), tools=[ask]).run(user_msg="ask")
        await stops(handler, cancel_run, await streaming(fake, 2))


async def test_two_tools_at_once_both_stop() -> None:
    """Two agents that are asked side by side."""
    asks = [tool_call("ask", number=1), tool_call("ask", number=2)]
    fake = FakeOpenAI([Turn(*asks), Turn(*STORY), Turn(*STORY)])
    with fake.serve():
        inner = FunctionAgent(name="inner", llm=fake.llm())

        async def ask(number: int) -> str:
            """Asks the other agent."""
            return str(await inner.run(user_msg=f"story {number}"))

        handler = FunctionAgent(llm=fake.llm(), tools=[ask]).run(user_msg="ask")
        await streaming(fake, 2)
        last = await streaming(fake, 3)
        await stops(handler, cancel_run, last)
        await fake.requests[1].await_closed(PATIENCE)
        assert fake.requests[1].ended_by == "client"


async def test_an_llm_in_a_tool_stops_too() -> None:
    """A StreamingLLM that a tool asks by itself."""
    fake = FakeOpenAI([Turn(tool_call("tell")), Turn(*STORY)])
    with fake.serve():
        llm = StreamingLLM(fake.llm())

        async def tell() -> str:
            """Tells a story."""
            return "".join([c.delta or "" async for c in await llm.astream_complete("a story")])

        handler = FunctionAgent(llm=fake.llm(), tools=[tell]).run(user_msg="tell")
        await stops(handler, cancel_run, await streaming(fake, 2))


async def test_the_second_agent_of_a_workflow_stops() -> None:
    """After a hand-off."""
    handoff = tool_call("handoff", to_agent="b", reason="better")
    fake = FakeOpenAI([Turn(handoff), Turn(*STORY)])
    with fake.serve():
        one = FunctionAgent(name="a", description="a", llm=fake.llm(), can_handoff_to=["b"])
        two = FunctionAgent(name="b", description="b", llm=fake.llm())
        handler = AgentWorkflow(agents=[one, two], root_agent="a").run(user_msg="go")
        await stops(handler, cancel_run, await streaming(fake, 2))


async def test_a_timeout_closes_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no cancellation, but an end as well."""
    fake = FakeOpenAI([Turn(*STALLED)])
    with fake.serve():
        handler = FunctionAgent(llm=fake.llm(), timeout=3600).run(user_msg="a story")
        request = await streaming(fake)
        being_answered = BeingAnswered(request)
        later = time.time() + 7200
        monkeypatch.setattr(time, "time", lambda: later)
        handler.ctx.send_event(Event())  # U14: it looks at the clock when it is woken
        async with asyncio.timeout(PATIENCE):
            outcome = await handler.outcome()
        assert outcome.status == "timed_out"
        await request.await_closed(PATIENCE)
        being_answered.check_closed_soon()
        fake.open("never")


@pytest.mark.parametrize("way", WAYS)
async def test_what_was_used_before_the_stop_is_counted(way: Any) -> None:
    """The sum is marked partial: the call that was broken off has said nothing."""
    fake = FakeOpenAI([Turn(tool_call("now"), usage(20, 5)), Turn(*STORY)])
    with fake.serve():
        handler = FunctionAgent(llm=fake.llm(), tools=[now]).run(user_msg="go")
        await stops(handler, way, await streaming(fake, 2))
    used = (await handler.outcome()).usage
    assert used is not None
    assert (used.input_tokens, used.output_tokens, used.calls) == (20, 5, 1)
    assert used.partial
    finished = [r.event async for r in handler.stream.read(types=LLMCallFinished)]
    assert isinstance(finished[0], LLMCallFinished)
    assert finished[0].finish_reason == "tool_calls"


def now() -> str:
    """The time."""
    return "noon"


async def test_many_at_once() -> None:
    """Twenty runs are stopped together: none is forgotten."""
    fake = FakeOpenAI([Turn(*STORY)], repeat_last=True)
    with fake.serve():
        agent = FunctionAgent(llm=fake.llm())
        handlers = [agent.run(user_msg="a story") for _ in range(20)]
        for number in range(1, 21):
            await streaming(fake, number)
        await asyncio.gather(*(handler.cancel_run() for handler in handlers))
        for request in fake.requests:
            await request.await_closed(PATIENCE)
        assert {request.ended_by for request in fake.requests} == {"client"}
