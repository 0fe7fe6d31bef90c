"""Records say how often their step was begun with the same input (U7)."""

# No postponed annotations: core looks at those of a tool to see that it takes the context.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportDeprecated=false

import asyncio
import gc
import json
from typing import Any

import pytest
from workflows.retry_policy import retry_policy, stop_after_attempt, wait_none

from llama_index_streaming_ext import (
    AgentOutput,
    AgentSetup,
    AgentStream,
    AgentWorkflow,
    Context,
    Event,
    FunctionAgent,
    HumanResponseEvent,
    InputRequiredEvent,
    LLMCallStarted,
    StartEvent,
    StopEvent,
    StreamingHandler,
    ToolCall,
    ToolCallResult,
    Workflow,
    step,
)
from llama_index_streaming_ext.run.attempts import Attempts
from llama_index_streaming_ext.stream.origin import current_origin
from llama_index_streaming_ext.testing import Turn, fail, text, tool_call
from tests.support.agents.llm_kinds import LLMs

THRICE = retry_policy(wait=wait_none(), stop=stop_after_attempt(3))


class Job(Event):
    """An input of a step."""

    name: str


class Question(InputRequiredEvent):
    """Event with a question."""

    name: str


class Answer(HumanResponseEvent):
    """Event with an answer."""

    name: str


class Note(Event):
    """Event that a step writes."""

    name: str = ""


class Retried(Workflow):
    """Fails twice."""

    @step(retry_policy=THRICE)
    async def work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """Writes, then fails."""
        ctx.write_event_to_stream(Note())
        if ctx.retry_info().retry_number < 2:
            raise ValueError
        return StopEvent()


class RetriedInAThread(Workflow):
    """Fails twice, in a sync step."""

    @step(retry_policy=THRICE)
    def work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """Writes, then fails."""
        ctx.write_event_to_stream(Note())
        if ctx.retry_info().retry_number < 2:
            raise ValueError
        return StopEvent()


class Overridden(Retried):
    """Calls the step that it overrides."""

    @step(retry_policy=THRICE)
    async def work(  # pyright: ignore[reportIncompatibleVariableOverride] # StepFunction is invariant
        self, ctx: Context, ev: StartEvent
    ) -> StopEvent:
        """As the other."""
        ctx.write_event_to_stream(Note())
        overridden: Any = super().work  # upstream's type of a step has no self
        return await overridden(ctx, ev)


class Waiting(Workflow):
    """Fails once, then waits for two answers."""

    @step(retry_policy=THRICE)
    async def work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """Writes, then waits."""
        ctx.write_event_to_stream(Note())
        if not await ctx.store.get("failed", default=False):
            await ctx.store.set("failed", True)
            raise ValueError
        for name in ("one", "two"):
            await ctx.wait_for_event(
                Answer, Question(name=name), waiter_id=name, requirements={"name": name}
            )
        return StopEvent()


class SideBySide(Workflow):
    """Works on several jobs at once, one of which fails once."""

    @step
    async def start(self, ctx: Context, ev: StartEvent) -> Job | None:
        """Sends the jobs."""
        for name in ("a", "b", "b", "c"):
            ctx.send_event(Job(name=name))

    @step(retry_policy=THRICE, num_workers=4)
    async def work(self, ctx: Context, ev: Job) -> Note:
        """Writes; `c` fails."""
        ctx.write_event_to_stream(Note(name=ev.name))
        if ev.name == "c" and ctx.retry_info().retry_number == 0:
            raise ValueError
        return Note(name=f"{ev.name} done")

    @step(num_workers=1)
    async def gather(self, ctx: Context, ev: Note) -> StopEvent | None:
        """Waits for all."""
        return StopEvent() if ctx.collect_events(ev, [Note] * 4) else None


class Nested(Workflow):
    """A step that has failed starts another run."""

    @step(retry_policy=THRICE)
    async def work(self, ctx: Context, ev: StartEvent) -> StopEvent:
        """Runs a workflow of its own."""
        if ctx.retry_info().retry_number == 0:
            raise ValueError
        return StopEvent(result=await attempts_of(Retried().run()))


async def attempts_of(handler: StreamingHandler) -> list[int]:
    """The attempt numbers of what the steps of a run have written."""
    async with asyncio.timeout(120):
        return [record.origin.attempt async for record in handler.stream.read(types=Note)]


@pytest.mark.parametrize("workflow", [Retried, RetriedInAThread])
async def test_a_step_that_is_retried_counts_up(workflow: type[Workflow]) -> None:
    """On the loop and in a thread."""
    assert await attempts_of(workflow().run()) == [1, 2, 3]


async def test_a_step_that_calls_the_one_it_overrides_is_begun_once() -> None:
    """The events of both are of the same attempt."""
    assert await attempts_of(Overridden().run()) == [1, 1, 2, 2, 3, 3]


async def test_a_step_that_waits_counts_up() -> None:
    """After an error, and after each wait; the requests themselves come once."""
    handler = Waiting().run()
    async for event in handler.stream_events():
        if isinstance(event, Question):
            await handler.send_event(Answer(name=event.name))
    assert await attempts_of(handler) == [1, 2, 3, 4]


async def test_other_inputs_are_counted_by_themselves() -> None:
    """Also equal ones: each is an event of its own."""
    records = [record async for record in SideBySide().run().stream.read(types=Note)]
    counted = sorted((record.event.name, record.origin.attempt) for record in records)
    assert counted == [("a", 1), ("b", 1), ("b", 1), ("c", 1), ("c", 2)]


async def test_a_run_inside_a_step_counts_for_itself() -> None:
    """Its steps inherit the context of that step, but not its number."""
    assert await Nested().run() == [1, 2, 3]


def test_inputs_are_not_kept() -> None:
    """The count of an event goes with it, as another event may get its id."""
    attempts = Attempts()
    event: Any = Job(name="x")
    for number in (1, 2):
        with attempts.of("work", event):
            assert current_origin().attempt == number
    with attempts.of("another", event):
        assert current_origin().attempt == 1
    del event
    gc.collect()
    assert vars(attempts) == {"_over": {}, "_inputs": {}}


def test_a_step_without_input_is_an_attempt() -> None:
    """Nothing tells its attempts apart."""
    attempts = Attempts()
    for _ in range(2):
        with attempts.of("work", None):
            assert current_origin().attempt == 1


# Tools that wait for a person (U34)


async def ask(ctx: Context, question: str) -> str:
    """Ask a person."""
    ctx.write_event_to_stream(Note())
    answer = await ctx.wait_for_event(Answer, Question(name=question), waiter_id=question)
    return answer.name


class Approving(FunctionAgent):
    """Asks a person before it calls a tool."""

    @step
    async def call_tool(  # pyright: ignore[reportIncompatibleVariableOverride] # StepFunction is invariant
        self, ctx: Context, ev: ToolCall
    ) -> ToolCallResult:
        """Ask, then call."""
        await ctx.wait_for_event(Answer, Question(name="May I?"), waiter_id="approval")
        overridden: Any = super().call_tool  # upstream's type of a step has no self
        return await overridden(ctx, ev)


class Insistent(FunctionAgent):
    """Calls a tool again when something around it fails, which it does once."""

    @step(retry_policy=THRICE)
    async def call_tool(  # pyright: ignore[reportIncompatibleVariableOverride] # StepFunction is invariant
        self, ctx: Context, ev: ToolCall
    ) -> ToolCallResult:
        """Call, then perhaps fail."""
        overridden: Any = super().call_tool  # upstream's type of a step has no self
        result: ToolCallResult = await overridden(ctx, ev)
        if ctx.retry_info().retry_number == 0:
            raise ConnectionError
        return result


class Patient(FunctionAgent):
    """Asks its LLM again when the provider has failed."""

    @step(retry_policy=THRICE)
    async def run_agent_step(  # pyright: ignore[reportIncompatibleVariableOverride] # StepFunction is invariant
        self, ctx: Context, ev: AgentSetup
    ) -> AgentOutput:
        """As the other."""
        overridden: Any = super().run_agent_step  # upstream's type of a step has no self
        return await overridden(ctx, ev)


async def answered(handler: StreamingHandler) -> list[Any]:
    """The records of a run in which each question is answered."""
    records: list[Any] = []
    async with asyncio.timeout(120):
        async for record in handler.stream.read():
            records.append(record)
            if isinstance(record.event, Question):
                await handler.send_event(Answer(name="yes"))
    return records


@pytest.mark.parametrize("workflow", [False, True])
async def test_a_tool_call_that_waits_is_streamed_once(llms: LLMs, workflow: bool) -> None:
    """Upstream runs the tool again, and streams the call again with the same id (U34)."""
    llm = llms([Turn(tool_call("ask", question="?")), Turn(text("ok"))])
    agent = FunctionAgent(llm=llm, tools=[ask])
    handler = (AgentWorkflow([agent]) if workflow else agent).run(user_msg="hi")
    records = await answered(handler)
    assert len([r for r in records if isinstance(r.event, ToolCall)]) == 1
    assert [r.origin.attempt for r in records if isinstance(r.event, Note)] == [1, 2]
    assert [r.origin.attempt for r in records if isinstance(r.event, ToolCallResult)] == [2]


async def test_a_call_that_is_approved_first_is_streamed_when_it_is_made(llms: LLMs) -> None:
    """A step that waits before it calls the tool has streamed nothing yet."""
    llm = llms([Turn(tool_call("ask", question="?")), Turn(text("ok"))])
    records = await answered(Approving(llm=llm, tools=[ask]).run(user_msg="hi"))
    asked = [r.event.name for r in records if isinstance(r.event, Question)]
    assert asked == ["May I?", "?"]
    assert len([r for r in records if isinstance(r.event, ToolCall)]) == 1


async def test_a_call_goes_on_in_another_run(llms: LLMs) -> None:
    """Its log has the call, too: each result in a log has its call."""
    llm = llms([Turn(tool_call("ask", question="?")), Turn(text("ok"))])
    agent = FunctionAgent(llm=llm, tools=[ask])
    first = agent.run(user_msg="hi")
    async with asyncio.timeout(120):
        async for event in first.stream_events():
            if isinstance(event, Question):
                break
    kept = json.loads(json.dumps(first.ctx.to_dict()))
    await first.cancel_run()
    second = agent.run(ctx=Context.from_dict(agent, kept))
    await second.send_event(Answer(name="yes"))
    events = [event async for event in second.stream_events()]
    assert [type(e) for e in events if isinstance(e, ToolCall | ToolCallResult)] == [
        ToolCall,
        ToolCallResult,
    ]
    assert (await second.outcome()).text == "ok"


# Steps of agents that are begun again


def note(ctx: Context, question: str) -> str:
    """Write a note."""
    ctx.write_event_to_stream(Note(name=question))
    return question


async def test_a_tool_call_that_is_made_again_says_its_attempt(llms: LLMs) -> None:
    """One that had its result is another call; all that it writes has the number."""
    llm = llms([Turn(tool_call("note", question="?")), Turn(text("ok"))])
    handler = Insistent(llm=llm, tools=[note]).run(user_msg="hi")
    records = await answered(handler)
    for event in (ToolCall, Note, ToolCallResult):
        assert [r.origin.attempt for r in records if isinstance(r.event, event)] == [1, 2]
    assert (await handler.outcome()).text == "ok"


async def test_an_llm_that_is_asked_again_says_its_attempt(llms: LLMs) -> None:
    """Of the tokens that come twice the log tells which are which, and of which call."""
    broken = Turn(text("It ", "is"), fail("Overloaded."))
    handler = Patient(llm=llms([broken, Turn(text("It ", "is", " sunny."))])).run(user_msg="hi")
    records = await answered(handler)
    said: dict[Any, str] = {}
    for record in records:
        if isinstance(record.event, AgentStream):
            of = (record.origin.attempt, record.origin.call_id)
            said[of] = said.get(of, "") + record.event.delta
    calls = [r.event.call_id for r in records if isinstance(r.event, LLMCallStarted)]
    assert said == {(1, calls[0]): "It is", (2, calls[1]): "It is sunny."}
    assert str(await handler) == "It is sunny."
