"""The laws hold for runs of our agents; upstream's handlers break exactly what they break."""

import asyncio
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.llms.mock import MockLLM
from workflows import Context, Workflow, step

from llama_index_streaming_ext import (
    Event,
    FunctionAgent,
    ReActAgent,
    StartEvent,
    StopEvent,
    stream_run,
)
from llama_index_streaming_ext import Workflow as OurWorkflow
from llama_index_streaming_ext.testing import (
    CancelPoint,
    FakeStreamingLLM,
    StreamLawBroken,
    Turn,
    cancel_points,
    check_stream,
    fail,
    gate,
    scripts,
    text,
    tool_call,
)
from tests.support.testing.streams import PATIENCE, answer, calling, ours, upstreams, weather

SCRIPTS = scripts({"weather": st.fixed_dictionaries({"city": st.text("xyz")})})


async def law_broken(source: Any, **kwargs: Any) -> str:
    """Which law a stream breaks."""
    with pytest.raises(StreamLawBroken) as failed:
        await check_stream(source, timeout=PATIENCE, **kwargs)
    return failed.value.law


# --- ours -----------------------------------------------------------------------------------------


async def test_our_agent() -> None:
    """A run of our agent keeps all laws."""
    report = await check_stream(ours(calling()), timeout=PATIENCE)
    assert report.held == ("L1", "L2", "L3", "L4", "L5", "L6", "L7")
    assert list(report.skipped) == []


async def test_a_wrapped_run() -> None:
    """A run of upstream's agent that is made readable by many keeps all laws."""
    report = await check_stream(stream_run(upstreams(calling())), timeout=PATIENCE)
    assert report.held == ("L1", "L2", "L3", "L4", "L6", "L7")


@pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning")
async def test_a_react_agent() -> None:
    """A run of a ReActAgent, whose scaffolding streams as text, keeps all laws."""
    llm = FakeStreamingLLM(
        [
            'Thought: Hm.\nAction: weather\nAction Input: {"city": "Paris"}\n',
            "Thought: I can answer.\nAnswer: It is sunny.",
        ]
    )
    handler = ReActAgent(llm=llm, tools=[weather]).run(user_msg="hi")
    assert "L4" in (await check_stream(handler, timeout=PATIENCE)).held


async def test_an_agent_inside_a_tool() -> None:
    """A tool that forwards the chunks of an agent of its own, by the same name, breaks nothing."""

    async def expert(ctx: Context) -> str:
        """Ask somebody else."""
        handler = ours(calling())
        async for event in handler.stream_events():
            if type(event).__name__ == "AgentStream":
                ctx.write_event_to_stream(event)
        return await answer(handler)

    llm = FakeStreamingLLM([Turn(text("Let"), tool_call("expert")), Turn(text("It is"))])
    handler = FunctionAgent(llm=llm, tools=[expert]).run(user_msg="hi")
    report = await check_stream(handler, timeout=PATIENCE)
    assert report.recording.error is None
    assert report.recording.text == "LetLet me check.It is sunny.It is"


@settings(deadline=None, max_examples=40)
@given(script=SCRIPTS, point=st.none() | cancel_points())
async def test_our_agent_whatever_happens(script: list[Turn], point: CancelPoint | None) -> None:
    """Whatever the LLM says, and whenever the run is cancelled, our agent keeps the laws."""
    handler = ours(FakeStreamingLLM(script))
    checking = asyncio.create_task(check_stream(handler, timeout=PATIENCE))
    if point is not None:
        await point.reached(handler)
        await handler.cancel_run()
    report = await checking
    assert {"L1", "L2", "L6", "L7"} <= set(report.held)


# --- upstream's -----------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [(), (fail(ValueError("The provider broke.")),)])
async def test_upstreams_agent(parts: tuple[Any, ...]) -> None:
    """A run of upstream's agent keeps what applies to it, whether it completes or fails."""
    report = await check_stream(upstreams(calling(*parts)), timeout=PATIENCE)
    assert report.held == ("L2", "L3", "L4")
    assert list(report.skipped) == ["L1", "L5", "L6", "L7"]


async def test_u74_the_responses_dialect_breaks_l3() -> None:
    """U74: chunks of the Responses API are not cumulative, so that L3 does not hold for them."""
    llm = FakeStreamingLLM([Turn(text("a", "b"))], dialect="responses")
    assert await law_broken(upstreams(llm)) == "L3"


async def test_u80_mock_llm_breaks_l3() -> None:
    """U80: the text of core's MockLLM lags behind its delta."""
    chunks = MockLLM(max_tokens=3).stream_complete("a b c d")

    async def streamed() -> Any:
        for one in chunks:
            yield one

    assert await law_broken(streamed()) == "L3"


class Early(Workflow):
    """U6: writes a StopEvent by hand, then goes on."""

    @step
    async def write(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """Write."""
        ctx.write_event_to_stream(StopEvent(result="early"))
        ctx.write_event_to_stream(Event())
        return StopEvent(result="done")


class OurEarly(OurWorkflow):
    """The same, as a workflow of this package."""

    write = Early.write


async def test_u6_a_stop_event_by_hand_breaks_l2() -> None:
    """U6: upstream's stream ends with a StopEvent that is not the end of the run; ours does not."""
    assert await law_broken(Early().run()) == "L2"
    assert "L2" in (await check_stream(stream_run(Early().run()), timeout=PATIENCE)).held


@pytest.mark.parametrize(("run", "breaks"), [(ours, False), (upstreams, True)])
async def test_u5_cancelling_hard_breaks_l2(
    run: Callable[[FakeStreamingLLM], Any], breaks: bool
) -> None:
    """U5: after `handler.cancel()` upstream's stream does not end; ours does."""
    llm = FakeStreamingLLM([Turn(text("a"), gate("never"))])
    handler = run(llm)
    checking = asyncio.create_task(check_stream(handler, timeout=PATIENCE))
    async with asyncio.timeout(PATIENCE):
        while not llm.calls or llm.calls[0].chunks < 2:  # noqa: ASYNC110 # the gate says nothing
            await asyncio.sleep(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        handler.cancel()
    await asyncio.wait([checking])
    llm.open("never")
    error = checking.exception()
    assert isinstance(error, StreamLawBroken) == breaks
    assert error is None or "L2 is broken" in str(error)
