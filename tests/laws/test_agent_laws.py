"""The laws hold for agents, whatever the LLM says, whoever stops them, and whoever reads."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_index_streaming_ext import Context, Event, FunctionAgent
from llama_index_streaming_ext.testing import (
    FakeStreamingLLM,
    Turn,
    disconnect,
    fail,
    finish,
    gate,
    parallel,
    refusal,
    text,
    thinking,
    tool_call,
    usage,
)
from llama_index_streaming_ext.testing.script.parts import Part, ToolCall
from llama_index_streaming_ext.testing.wire.items import Dialect
from tests.support.laws.laws import (
    PATIENCE,
    PLAIN_READERS,
    READERS,
    PlainReader,
    Reader,
    check_responses,
    check_run,
    examples,
    turns,
)
from tests.support.laws.stops import STOPS, WHEN, Stop, When, let_be


class Progress(Event):
    """What a tool writes while it works."""

    n: int


async def weather(ctx: Context, city: str) -> str:
    """Look out of the window, and say so."""
    for n in range(3):
        ctx.write_event_to_stream(Progress(n=n))
        await asyncio.sleep(0)
    return f"sunny in {city}"


async def breaks(city: str) -> str:
    """Fall over."""
    raise ValueError(city)


def call(name: str, city: str) -> ToolCall:
    """A call of a tool."""
    return tool_call(name, city=city)


# A delta ends at each "|".
DELTAS = st.text("ab \n|", max_size=15).map(lambda drawn: drawn.split("|"))
CALLS = st.builds(
    call, st.sampled_from(["weather", "breaks", "unknown"]), st.text("xyz", max_size=5)
)
SAID: st.SearchStrategy[Part] = st.one_of(
    DELTAS.map(lambda deltas: text(*deltas)),
    DELTAS.map(lambda deltas: thinking(*deltas)),
    DELTAS.map(lambda deltas: refusal(*deltas)),
    st.just(gate("gate")),
)
CALLED: st.SearchStrategy[Part] = CALLS | st.tuples(CALLS, CALLS).map(
    lambda calls: parallel(*calls)
)
BROKEN = st.sampled_from([fail("The provider broke."), disconnect()])


@st.composite
def scripts(draw: st.DrawFn) -> list[Turn]:
    """Some turns with tool calls, an answer, and perhaps a break in the middle."""
    script: list[Turn] = []
    for _ in range(draw(st.integers(0, 2))):
        script.append(Turn(*draw(st.lists(SAID, max_size=2)), draw(CALLED)))
    answer: list[Part] = draw(st.lists(SAID, max_size=3))
    end: list[Part] = draw(st.sampled_from([[], [finish("length")], [usage(5, 3)]]))
    script.append(Turn(*answer, *(end or [draw(BROKEN)] if draw(st.booleans()) else end)))
    return script


DIALECTS: list[Dialect] = ["chat", "responses"]


async def check_agent(
    llm: FakeStreamingLLM,
    stop: Stop,
    when: When,
    readers: list[Reader],
    plain: PlainReader | None,
) -> None:
    """Run an agent, stop it, and check all laws."""
    agent = FunctionAgent(llm=llm, tools=[weather, breaks])
    handler = agent.run(user_msg="?")
    stopping = asyncio.ensure_future(stop(handler, when))

    async def open_gate() -> None:
        async with asyncio.timeout(PATIENCE):
            await stopping
        llm.open("gate")

    opening = asyncio.create_task(open_gate())
    records, outcome = await check_run(handler, readers, plain)
    await opening
    if llm.dialect == "chat":
        check_responses(records)
    assert outcome.status in ("completed", "failed", "cancelled")
    if stop is let_be:
        assert outcome.status != "cancelled"
    pulled = [call.chunks for call in llm.calls]
    await turns(60)
    later = [call.chunks for call in llm.calls]
    assert len(later) == len(pulled)
    assert all(after <= before + 2 for before, after in zip(pulled, later, strict=True))
    assert all(call.closed_by is not None for call in llm.calls)


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.__name__)
@examples(20)
@given(
    script=scripts(),
    dialect=st.sampled_from(DIALECTS),
    when=WHEN,
    readers=READERS,
    plain=st.none() | PLAIN_READERS,
)
def test_agent_laws(
    stop: Stop,
    script: list[Turn],
    dialect: Dialect,
    when: When,
    readers: list[Reader],
    plain: PlainReader | None,
) -> None:
    """L1, L2, L3, L6 and L7 hold for an agent's run that is stopped in this way."""
    llm = FakeStreamingLLM(script, dialect=dialect)
    asyncio.run(check_agent(llm, stop, when, readers, plain))
